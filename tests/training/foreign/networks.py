"""Foreign networks for tests, and maps for them."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

PLAYGROUND_PALM = np.array([0.11, 0.0, 0.03])
"""Playground's site `grasp_site`, world frame [m]."""

PLAYGROUND_MAP = """\
hand = "leap"
object = "block"
rate = 20
engine = "mujoco (MuJoCo Playground)"

[[observation]]
name = "joint_position"

[[observation]]
name = "target_error"

[[observation]]
name = "palm_from_object"
source = "object_from_palm"
scale = -1.0
offset = [-0.01, 0.0, 0.01]

[[observation]]
name = "two_rows_of_the_rotation_from_goal"
source = "rotation_to_go_matrix"
inverse = true
select = [3, 4, 5, 6, 7, 8]

[[observation]]
name = "last_action"

[action]
kind = "delta"
scale = 0.5
"""


def playground_form(inputs: int = 57, outputs: int = 16, opset: int = 11) -> onnx.ModelProto:
    """A network as MuJoCo Playground exports them: normalization, swish, tanh, an open batch."""
    rng = np.random.default_rng(5)
    tensors, nodes = [], []

    def constant(name: str, array: np.ndarray) -> str:
        tensors.append(numpy_helper.from_array(array.astype(np.float32), name))
        return name

    mean, deviation = 0.2 * rng.standard_normal(inputs), rng.uniform(0.3, 2.0, inputs)
    nodes.append(helper.make_node("Sub", ["obs", constant("mean", mean)], ["centred"]))
    nodes.append(helper.make_node("Div", ["centred", constant("deviation", deviation)], ["x0"]))
    sizes = [inputs, 64, 32, outputs]
    for layer, (before, after) in enumerate(zip(sizes[:-1], sizes[1:], strict=True)):
        weights = constant(f"w{layer}", rng.standard_normal((before, after)) / np.sqrt(before))
        bias = constant(f"b{layer}", 0.1 * rng.standard_normal(after))
        nodes.append(helper.make_node("Gemm", [f"x{layer}", weights, bias], [f"y{layer}"]))
        if layer < len(sizes) - 2:
            nodes.append(helper.make_node("Sigmoid", [f"y{layer}"], [f"s{layer}"]))
            inputs_of = [f"y{layer}", f"s{layer}"]
            nodes.append(helper.make_node("Mul", inputs_of, [f"x{layer + 1}"]))
    nodes.append(helper.make_node("Tanh", [f"y{len(sizes) - 2}"], ["continuous_actions"]))
    graph = helper.make_graph(
        nodes,
        "tf2onnx",
        [helper.make_tensor_value_info("obs", TensorProto.FLOAT, ["unk__0", inputs])],
        [
            helper.make_tensor_value_info(
                "continuous_actions", TensorProto.FLOAT, ["unk__1", outputs]
            )
        ],
        tensors,
    )
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=6)


def plain_recurrent(kind: str, shape: tuple[int, ...]) -> onnx.ModelProto:
    """A network with one state of shape (4, 4): action = next state = tanh(observation, state).

    Args:
        kind: of all its numbers, as numpy names it.
        shape: of the observation, with 57 elements.
    """
    rng = np.random.default_rng(6)
    number = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    sizes = {"w": (57, 16), "u": (16, 16)}
    tensors = [
        numpy_helper.from_array((0.2 * rng.standard_normal(size)).astype(kind), name)
        for name, size in sizes.items()
    ]
    for name, row in (("flat", (1, -1)), ("square", (4, 4))):
        tensors.append(numpy_helper.from_array(np.array(row, np.int64), name))
    nodes = [
        helper.make_node("Reshape", ["obs", "flat"], ["row"]),
        helper.make_node("Reshape", ["memory", "flat"], ["before"]),
        helper.make_node("MatMul", ["row", "w"], ["a"]),
        helper.make_node("MatMul", ["before", "u"], ["b"]),
        helper.make_node("Add", ["a", "b"], ["sum"]),
        helper.make_node("Tanh", ["sum"], ["actions"]),
        helper.make_node("Reshape", ["actions", "square"], ["memory_next"]),
    ]

    def value(name: str, *size: int) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, number, size)

    graph = helper.make_graph(
        nodes,
        "recurrent",
        [value("obs", *shape), value("memory", 4, 4)],
        [value("actions", 1, 16), value("memory_next", 4, 4)],
        tensors,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def write_pair(
    folder: Path, model: onnx.ModelProto | None = None, text: str = PLAYGROUND_MAP
) -> tuple[Path, Path]:
    """Writes a network and its map; returns both paths."""
    foreign, map_file = folder / "foreign.onnx", folder / "map.toml"
    foreign.write_bytes((model or playground_form()).SerializeToString())
    map_file.write_text(text)
    return foreign, map_file
