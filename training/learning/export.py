"""Exports a student as an ONNX policy file and checks that both compute the same actions."""

import hashlib
import subprocess
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import onnx
import onnxruntime as ort
import torch
import tyro
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from inhand.controller.policy.action import ActionPath
from inhand.controller.policy.metadata import (
    METADATA_KEY,
    ActionMapping,
    GoldenVector,
    ObservationPart,
    PolicyMetadata,
)
from inhand.controller.policy.observation import observation_layout
from inhand.errors import InhandError
from inhand.files import write_whole
from inhand.hardware.model.hand import Hand, load_hand
from inhand.perception.objects import load_object
from inhand.training.learning.run_recipe import load_recipe
from inhand.training.learning.student_network import (
    StudentNetwork,
    StudentPolicy,
    load_student,
    version_of_student,
)
from inhand.training.learning.train import run_paths
from inhand.training.learning.world_head import WORLD
from inhand.training.mujoco_worlds.batch_of_worlds import BatchOfWorlds
from inhand.training.mujoco_worlds.environment import BatchEnvironment
from inhand.training.sensors.sensors import Sensors

TOLERANCE = 1e-4
GOLDEN_STEPS = 5
OPSET = 17


class ExportError(InhandError):
    """The exported policy does not compute the student's actions."""


def build_graph(network: StudentNetwork) -> onnx.ModelProto:
    """The network as an ONNX model: batch 1, normalization baked in, state in and out."""
    tensors: list[onnx.TensorProto] = []

    def constant(name: str, value: torch.Tensor | NDArray[np.float32]) -> str:
        array = np.ascontiguousarray(
            np.asarray(value.detach() if torch.is_tensor(value) else value)
        )
        tensors.append(numpy_helper.from_array(array, name))
        return name

    def linear(layer: str, source: str, target: str) -> onnx.NodeProto:
        weight = constant(f"{layer}.weight", parameters[f"{layer}.weight"])
        bias = constant(f"{layer}.bias", parameters[f"{layer}.bias"])
        return helper.make_node("Gemm", [source, weight, bias], [target], transB=1)

    def value(name: str, *shape: int) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    parameters = dict(network.named_parameters())
    low, high = (constant(n, np.array(v, np.float32)) for n, v in (("low", -5.0), ("high", 5.0)))
    zero = "zero"
    tensors.append(numpy_helper.from_array(np.array([0], dtype=np.int64), zero))
    nodes = [
        helper.make_node("Sub", ["obs", constant("mean", network.mean)], ["centred"]),
        helper.make_node("Div", ["centred", constant("deviation", network.deviation)], ["scaled"]),
        helper.make_node("Clip", ["scaled", low, high], ["normalized"]),
        linear("first", "normalized", "first_linear"),
        helper.make_node("Elu", ["first_linear"], ["first"]),
    ]
    if network.memory:
        # torch orders the gates input, forget, cell, output; ONNX input, output, forget, cell.
        order = np.concatenate(
            [np.arange(network.hidden) + network.hidden * g for g in (0, 3, 1, 2)]
        )
        weights = constant("W", parameters["cell.weight_ih"][order][None])
        recurrent = constant("R", parameters["cell.weight_hh"][order][None])
        biases = [parameters[f"cell.bias_{part}"][order] for part in ("ih", "hh")]
        bias = constant("B", torch.cat(biases)[None])
        nodes += [
            helper.make_node("Unsqueeze", ["first", zero], ["sequence"]),
            helper.make_node(
                "LSTM",
                ["sequence", weights, recurrent, bias, "", "h_in", "c_in"],
                ["", "h_out", "c_out"],
                hidden_size=network.hidden,
            ),
            helper.make_node("Squeeze", ["h_out", zero], ["remembered"]),
        ]
    else:
        nodes += [
            linear("cell", "first", "cell_linear"),
            helper.make_node("Elu", ["cell_linear"], ["remembered"]),
            helper.make_node("Identity", ["h_in"], ["h_out"]),
            helper.make_node("Identity", ["c_in"], ["c_out"]),
        ]
    outputs = []
    if network.world is not None:
        nodes.append(linear("world", "remembered", "world"))
        outputs.append(value("world", 1, network.world.out_features))
    nodes += [
        helper.make_node("Concat", ["first", "remembered"], ["both"], axis=1),
        linear("second", "both", "second_linear"),
        helper.make_node("Elu", ["second_linear"], ["second"]),
        linear("last", "second", "actions"),
    ]

    state = (1, 1, network.hidden)
    graph = helper.make_graph(
        nodes,
        "policy",
        [value("obs", 1, len(network.mean)), value("h_in", *state), value("c_in", *state)],
        [
            value("actions", 1, network.last.out_features),
            value("h_out", *state),
            value("c_out", *state),
            *outputs,
        ],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    return model


@torch.no_grad()
def rollout(network: StudentNetwork, observations: NDArray[np.float32]) -> NDArray[np.float32]:
    """Actions of the torch network over a sequence, (steps, actions), from a zero state."""
    state = network.start(1)
    actions = []
    for row in torch.as_tensor(observations):
        action, state = network(row[None], state)
        actions.append(action[0].numpy())
    return np.stack(actions)


def export(
    path: Path,
    network: StudentNetwork,
    hand: Hand,
    object_name: str,
    scale: float,
    observations: NDArray[np.float32],
) -> None:
    """Writes the policy file atomically.

    Args:
        path: the ONNX file.
        network: the student.
        hand: the hand that it moves.
        object_name: name of the object that it turns.
        scale: of the universes it was trained in.
        observations: from a rollout, (steps, n). The first `GOLDEN_STEPS` become the golden
            vector; all of them check that ONNX Runtime and torch agree.

    Raises:
        ExportError: ONNX Runtime and torch do not agree.
    """
    network = network.cpu()
    model = build_graph(network)
    wanted = rollout(network, observations)
    path_of_action, version = ActionPath(hand), version_of_student(hand, network)
    metadata = PolicyMetadata(
        schema=1,
        policy_rate=path_of_action.policy_rate,
        hand=hand.name,
        hand_digest=hand.digest,
        hand_facts=dict(hand.facts),
        joints=hand.joint_names,
        actuators=hand.actuator_names,
        object=object_name,
        observation=tuple(ObservationPart(*part) for part in observation_layout(hand, version)),
        world=WORLD if network.world is not None else (),
        action=ActionMapping("around_rest", path_of_action.smoothing, path_of_action.tick_rate),
        quaternion_order="wxyz",
        engine="mujoco",
        randomization_scale=scale,
        commit=_commit(),
        golden=GoldenVector(
            observations[:GOLDEN_STEPS].tolist(), wanted[:GOLDEN_STEPS].tolist(), TOLERANCE
        ),
    )
    helper.set_model_props(model, {METADATA_KEY: msgspec.json.encode(metadata).decode()})
    content = model.SerializeToString()
    error = float(np.abs(run(content, observations, network.hidden) - wanted).max())
    if not error <= TOLERANCE:
        raise ExportError(f"export {path}: ONNX Runtime differs from torch by {error:.2g}")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, content)


def run(content: bytes, observations: NDArray[np.float32], hidden: int) -> NDArray[np.float32]:
    """Actions of the ONNX model over a sequence, (steps, actions), from a zero state."""
    session = ort.InferenceSession(content, providers=["CPUExecutionProvider"])
    state = cell = np.zeros((1, 1, hidden), dtype=np.float32)
    actions = []
    for row in observations:
        action, state, cell = session.run(
            ["actions", "h_out", "c_out"], {"obs": row[None], "h_in": state, "c_in": cell}
        )
        actions.append(action[0])
    return np.stack(actions)


def _commit() -> str:
    """The commit of the training code; `unknown` outside a checkout."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()


@dataclass
class Arguments:
    """Write the policy file of a trained student.

    Example: inhand policy export block-precise-refined --output policies/block.onnx

    Attributes:
        recipe: name of the student's recipe, or its TOML file.
        runs: folder of the runs.
        output: the ONNX file.
    """

    recipe: tyro.conf.Positional[str]
    output: Path
    runs: Path = Path("runs")


def main() -> int:
    """`inhand policy export`."""
    given = tyro.cli(Arguments, prog="inhand policy export")
    recipe = load_recipe(given.recipe)
    if recipe.stage == "teacher":
        raise ExportError(f"recipe {given.recipe} trains a teacher; export a student")
    hand, target = load_hand(recipe.hand), load_object(recipe.object)
    worlds = BatchEnvironment(hand, target, 1, 1, seed=0)
    network = load_student(worlds, run_paths(given.runs, recipe).checkpoint)
    observations = record(worlds, network, 200)
    export(given.output, network, hand, target.name, recipe.universe_scale, observations)
    print(f"{hashlib.sha256(given.output.read_bytes()).hexdigest()}  {given.output}")
    return 0


@torch.no_grad()
def record(worlds: BatchOfWorlds, network: StudentNetwork, steps: int) -> NDArray[np.float32]:
    """Observations of the first of these worlds while the student acts, (steps, n)."""
    sensors = Sensors(worlds, seed=0, version=version_of_student(worlds.hand, network))
    policy = StudentPolicy(sensors, network, worlds.size)
    rows = []
    for _ in range(steps):
        seen = policy.observe()
        worlds.step(policy.act(seen).numpy().astype(np.float64))
        rows.append(seen[0].numpy())
    return np.stack(rows)
