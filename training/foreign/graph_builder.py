"""Builds an ONNX graph node by node; all tensors are (1, n)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from inhand.hardware.records import Array


class GraphBuilder:
    """Collects nodes and constants.

    Attributes:
        nodes: in order.
        constants: of the nodes.
    """

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._count = 0

    def node(self, kind: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """Adds an operation with one output; returns the output's name."""
        output = name or self._fresh(kind)
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def floats(self, values: Array | float) -> str:
        """A constant of float32; one number or one dimension become (1, n)."""
        array = np.asarray(values, dtype=np.float32)
        return self._constant(array.reshape(1, -1) if array.ndim < 2 else array)

    def integers(self, *values: int) -> str:
        """A constant of int64, (n,)."""
        return self._constant(np.array(values, dtype=np.int64))

    def columns(self, tensor: str, begin: int, end: int) -> str:
        """The elements of a tensor from `begin` to before `end`."""
        bounds = self.integers(begin), self.integers(end)
        return self.node("Slice", tensor, *bounds, self.integers(1))

    def picked(self, tensor: str, which: Sequence[int]) -> str:
        """Elements of a tensor by their numbers."""
        return self.node("Gather", tensor, self.integers(*which), axis=1)

    def joined(self, tensors: Sequence[str], name: str = "") -> str:
        """Tensors one after the other."""
        return self.node("Concat", *tensors, name=name, axis=1)

    def shaped(self, tensor: str, *shape: int, name: str = "") -> str:
        """A tensor in another shape."""
        return self.node("Reshape", tensor, self.integers(*shape), name=name)

    def cast(self, tensor: str, kind: int) -> str:
        """A tensor with elements of another type, by ONNX's number."""
        return tensor if kind == TensorProto.FLOAT else self.node("Cast", tensor, to=kind)

    def bounded(self, tensor: str, bound: float) -> str:
        """A tensor whose elements have at most this absolute value."""
        return self.between(tensor, -bound, bound)

    def between(self, tensor: str, lower: Array | float, upper: Array | float) -> str:
        """A tensor whose elements lie between bounds."""
        return self.node("Min", self.node("Max", tensor, self.floats(lower)), self.floats(upper))

    def scaled(self, tensor: str, factor: Array, offset: Array) -> str:
        """tensor · factor + offset; leaves out what changes nothing."""
        if np.any(factor != 1.0):
            tensor = self.node("Mul", tensor, self.floats(factor))
        return self.node("Add", tensor, self.floats(offset)) if np.any(offset != 0.0) else tensor

    def mapped(self, tensor: str, matrix: Array) -> str:
        """matrix · tensor."""
        if matrix.shape[0] == matrix.shape[1] and np.array_equal(matrix, np.eye(len(matrix))):
            return tensor
        return self.node("MatMul", tensor, self.floats(matrix.T))

    def _constant(self, array: NDArray[np.float32] | NDArray[np.int64]) -> str:
        name = self._fresh("constant")
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def _fresh(self, kind: str) -> str:
        self._count += 1
        return f"adapter/{kind}_{self._count}"
