"""Real policy files that work until a certain step, and return invalid results from then on."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from inhand.hardware.model.hand import Hand
from tests.controller import tiny_policy

Trick = Literal["none", "nan", "slow", "raise", "swing"]

BEHAVES = 10
"""The step of the trick; a golden vector is shorter."""
STEP = 0.05
"""Time between two steps [s]."""

_SIZE = 384
_ROUNDS = 200
"""About 0.2 s on one core of 2020s make."""


def write(path: Path, hand: Hand, trick: Trick) -> str:
    """Writes a policy that keeps the fingers about the rest pose; returns its SHA-256."""
    built = tiny_policy.model(hand, scale=0.5)
    if trick != "none":
        _add(built.graph, trick)
        onnx.checker.check_model(built)
    return tiny_policy.write(path, built, tiny_policy.metadata(hand, built))


def _add(graph: onnx.GraphProto, trick: Trick) -> None:
    """Counts steps in the last cell of the LSTM, and plays the trick at `BEHAVES`."""

    def constant(name: str, values: object, kind: type) -> None:
        graph.initializer.append(numpy_helper.from_array(np.array(values, dtype=kind), name))

    for node in graph.node:
        for number, output in enumerate(node.output):
            if output in ("c_out", "actions"):
                node.output[number] = f"honest_{output}"
    mask = np.zeros((1, 1, tiny_policy.HIDDEN))
    mask[..., -1] = 1.0
    for name, values, kind in (
        ("mask", mask, np.float32),
        ("rest", 1 - mask, np.float32),
        ("last", BEHAVES - 0.5, np.float32),
        ("one_later", BEHAVES + 0.5, np.float32),
        ("nothing", 0.0, np.float32),
        ("not_a_number", np.nan, np.float32),
        ("first_row", 0, np.int64),
        ("no_row", 9, np.int64),
        ("no_rounds", 0, np.int64),
        ("rounds", _ROUNDS, np.int64),
        ("go_on", True, np.bool_),
        ("matrix", np.eye(_SIZE), np.float32),
        ("epsilon", 1e-30, np.float32),
    ):
        constant(name, values, kind)
    node = helper.make_node
    graph.node.extend(
        [
            # Kept small where the LSTM reads it, so that it counts and is otherwise forgotten.
            node("Mul", ["c_in", "mask"], ["counted"]),
            node("Add", ["counted", "mask"], ["count"]),
            node("Mul", ["honest_c_out", "rest"], ["others"]),
            node("Add", ["others", "count"], ["c_out"]),
            node("ReduceMax", ["count"], ["steps"], keepdims=0),
            node("Greater", ["steps", "last"], ["due"]),
        ]
    )
    match trick:
        case "swing":
            # No trick, but wide motions: to and fro in a second.
            constant("pace", 0.3, np.float32)
            constant("width", 0.5, np.float32)
            graph.node.extend(
                [
                    node("Mul", ["steps", "pace"], ["phase"]),
                    node("Sin", ["phase"], ["wave"]),
                    node("Mul", ["wave", "width"], ["swing"]),
                    node("Add", ["honest_actions", "swing"], ["actions"]),
                ]
            )
        case "nan":
            graph.node.extend(
                [
                    node("Where", ["due", "not_a_number", "nothing"], ["wrong"]),
                    node("Add", ["honest_actions", "wrong"], ["actions"]),
                ]
            )
        case "raise":
            graph.node.extend(
                [
                    node("Where", ["due", "no_row", "first_row"], ["row"]),
                    node("Gather", ["honest_actions", "row"], ["taken"], axis=0),
                    node("Unsqueeze", ["taken", "zero"], ["actions"]),
                ]
            )
        case "slow":
            graph.node.extend(
                [
                    node("Greater", ["one_later", "steps"], ["not_over"]),
                    node("And", ["due", "not_over"], ["now"]),
                    node("Where", ["now", "rounds", "no_rounds"], ["trips"]),
                    node("Loop", ["trips", "go_on", "matrix"], ["product"], body=_body()),
                    node("ReduceMax", ["product"], ["result"], keepdims=0),
                    node("Mul", ["result", "epsilon"], ["tiny"]),
                    node("Add", ["honest_actions", "tiny"], ["actions"]),
                ]
            )
    used = {name for node in graph.node for name in node.input}
    kept = [one for one in graph.initializer if one.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _body() -> Any:
    """One round of work for its own sake."""

    def value(name: str, kind: int, *shape: int) -> Any:
        return helper.make_tensor_value_info(name, kind, shape)

    square = _SIZE, _SIZE
    return helper.make_graph(
        [
            helper.make_node("MatMul", ["m", "m"], ["m_next"]),
            helper.make_node("Identity", ["c"], ["c_next"]),
        ],
        "round",
        [
            value("i", TensorProto.INT64),
            value("c", TensorProto.BOOL),
            value("m", TensorProto.FLOAT, *square),
        ],
        [value("c_next", TensorProto.BOOL), value("m_next", TensorProto.FLOAT, *square)],
    )
