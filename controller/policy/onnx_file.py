"""Detects external data in an ONNX file.

ONNX Runtime would load such data from files whose hash was never checked. This module reads the
protocol buffer wire format directly, so that the robot needs no ONNX library.
"""

from collections.abc import Iterator

# Field numbers of onnx.proto.
_MODEL_GRAPH = 7
_MODEL_FUNCTIONS = 25
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_SPARSE_INITIALIZER = 1, 5, 15
_FUNCTION_NODE = 7
_NODE_ATTRIBUTE = 5
_ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS, _ATTRIBUTE_SPARSE = (5, 10), (6, 11), (22, 23)
_SPARSE_TENSORS = (1, 2)
_TENSOR_EXTERNAL_DATA, _TENSOR_DATA_LOCATION = 13, 14


def has_external_data(model: bytes) -> bool:
    """Whether any tensor of the model is stored in another file.

    Raises:
        ValueError: the bytes are no protocol buffer.
    """
    data = memoryview(model)
    return any(
        (field == _MODEL_GRAPH and _in_graph(part))
        or (field == _MODEL_FUNCTIONS and _in_nodes(part, _FUNCTION_NODE))
        for field, part in _fields(data)
    )


def _in_graph(graph: memoryview) -> bool:
    for field, part in _fields(graph):
        if field == _GRAPH_INITIALIZER and _in_tensor(part):
            return True
        if field == _GRAPH_SPARSE_INITIALIZER and _in_sparse(part):
            return True
    return _in_nodes(graph, _GRAPH_NODE)


def _in_nodes(parent: memoryview, node_field: int) -> bool:
    return any(
        _in_attribute(attribute)
        for field, node in _fields(parent)
        if field == node_field
        for number, attribute in _fields(node)
        if number == _NODE_ATTRIBUTE
    )


def _in_attribute(attribute: memoryview) -> bool:
    return any(
        (field in _ATTRIBUTE_TENSORS and _in_tensor(part))
        or (field in _ATTRIBUTE_GRAPHS and _in_graph(part))
        or (field in _ATTRIBUTE_SPARSE and _in_sparse(part))
        for field, part in _fields(attribute)
    )


def _in_sparse(sparse: memoryview) -> bool:
    return any(_in_tensor(part) for field, part in _fields(sparse) if field in _SPARSE_TENSORS)


def _in_tensor(tensor: memoryview) -> bool:
    return any(
        field == _TENSOR_EXTERNAL_DATA or (field == _TENSOR_DATA_LOCATION and bytes(part) != b"\0")
        for field, part in _fields(tensor)
    )


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Field numbers and contents; of a number, the bytes that encode it."""
    at = 0
    while at < len(message):
        key, at = _number(message, at)
        kind = key & 7
        if kind == 0:
            _, end = _number(message, at)
        elif kind == 1:
            end = at + 8
        elif kind == 2:
            length, at = _number(message, at)
            end = at + length
        elif kind == 5:
            end = at + 4
        else:
            raise ValueError(f"wire type {kind} at byte {at}")
        if end > len(message):
            raise ValueError("the message is cut off")
        yield key >> 3, message[at:end]
        at = end


def _number(message: memoryview, at: int) -> tuple[int, int]:
    """A variable-length number and where it ends."""
    value = 0
    for shift in range(0, 64, 7):
        if at >= len(message):
            raise ValueError("the message is cut off")
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number has more than 64 bits")
