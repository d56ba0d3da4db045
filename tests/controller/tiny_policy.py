"""A tiny LSTM policy file, built without a trainer, for tests of whatever runs policies."""

import hashlib
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from inhand.controller.policy.metadata import METADATA_KEY
from inhand.controller.policy.observation import observation_layout, observation_size
from inhand.hardware.model.hand import Hand

HIDDEN = 8


def model(hand: Hand, *, scale: float = 0.3, seed: int = 0) -> onnx.ModelProto:
    """obs → one LSTM layer → linear → tanh, with random weights; no metadata yet."""
    rng = np.random.default_rng(seed)
    n, m = observation_size(hand), hand.n_actuators

    def weights(name: str, *shape: int) -> Any:
        return numpy_helper.from_array(
            (scale * rng.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float32), name
        )

    def value(name: str, *shape: int) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    initializers = [
        weights("W", 1, 4 * HIDDEN, n),
        weights("R", 1, 4 * HIDDEN, HIDDEN),
        weights("A", HIDDEN, m),
        numpy_helper.from_array(np.array([0], dtype=np.int64), "zero"),
    ]
    nodes = [
        helper.make_node("Unsqueeze", ["obs", "zero"], ["sequence"]),
        helper.make_node(
            "LSTM",
            ["sequence", "W", "R", "", "", "h_in", "c_in"],
            ["", "h_out", "c_out"],
            hidden_size=HIDDEN,
        ),
        helper.make_node("Squeeze", ["h_out", "zero"], ["hidden"]),
        helper.make_node("MatMul", ["hidden", "A"], ["linear"]),
        helper.make_node("Tanh", ["linear"], ["actions"]),
    ]
    state = (1, 1, HIDDEN)
    graph = helper.make_graph(
        nodes,
        "tiny",
        [value("obs", 1, n), value("h_in", *state), value("c_in", *state)],
        [value("actions", 1, m), value("h_out", *state), value("c_out", *state)],
        initializers,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def metadata(hand: Hand, built: onnx.ModelProto) -> dict[str, Any]:
    """What an honest exporter would write, golden vector included."""
    session = ort.InferenceSession(built.SerializeToString(), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(1)
    observations = rng.standard_normal((3, observation_size(hand))).astype(np.float32)
    hidden = cell = np.zeros((1, 1, HIDDEN), dtype=np.float32)
    actions = []
    for row in observations:
        action, hidden, cell = session.run(None, {"obs": row[None], "h_in": hidden, "c_in": cell})
        actions.append(action[0].tolist())
    return {
        "schema": 1,
        "policy_rate": 20,
        "hand": hand.name,
        "hand_digest": hand.digest,
        "hand_facts": hand.facts,
        "joints": list(hand.joint_names),
        "actuators": list(hand.actuator_names),
        "object": "block",
        "observation": [
            {"name": name, "size": size, "unit": unit}
            for name, size, unit in observation_layout(hand)
        ],
        "action": {"kind": "around_rest", "smoothing": 0.5, "tick_rate": 100},
        "quaternion_order": "wxyz",
        "engine": "none",
        "randomization_scale": 0.0,
        "commit": "0" * 40,
        "golden": {"observations": observations.tolist(), "actions": actions, "tolerance": 1e-4},
    }


def write(path: Path, built: onnx.ModelProto, described: dict[str, Any] | None) -> str:
    """Writes the file; returns its SHA-256."""
    del built.metadata_props[:]
    if described is not None:
        helper.set_model_props(built, {METADATA_KEY: msgspec.json.encode(described).decode()})
    path.write_bytes(built.SerializeToString())
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_policy(path: Path, hand: Hand) -> str:
    """Writes a policy that fits; returns its SHA-256."""
    built = model(hand)
    return write(path, built, metadata(hand, built))
