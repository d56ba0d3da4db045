"""The ONNX file of a policy that was made elsewhere: read, completed and checked."""

from dataclasses import dataclass
from itertools import chain
from math import prod
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import TensorProto, external_data_helper

from inhand.controller.errors import PolicyError
from inhand.controller.policy.onnx_file import has_external_data
from inhand.controller.policy.onnx_session import one_line, open_session, read_policy
from inhand.training.foreign.conversion import modern, run
from inhand.training.foreign.policy_map import NetworkMap

_RANDOM = {
    "Bernoulli",
    "Multinomial",
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
}
"""Operations that give other numbers each time."""

_NUMPY: dict[int, str] = {
    TensorProto.FLOAT: "f4",
    TensorProto.DOUBLE: "f8",
    TensorProto.FLOAT16: "f2",
}


@dataclass(frozen=True)
class Port:
    """An input or output.

    Attributes:
        name: of the tensor.
        shape: with 1 for a batch that the file leaves open.
        type: ONNX's number of its element type.
    """

    name: str
    shape: tuple[int, ...]
    type: int

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def zeros(self) -> NDArray[np.floating]:
        zeros: NDArray[np.floating] = np.zeros(self.shape, dtype=np.dtype(_NUMPY[self.type]))
        return zeros


@dataclass(frozen=True)
class ForeignNetwork:
    """A network with an observation, an action, and perhaps recurrent states.

    Attributes:
        model: complete in itself, of an opset not below `conversion.OPSET`.
        observation: its input.
        action: its output.
        states: input and output of each recurrent state.
        notes: what was changed, in words.
    """

    model: onnx.ModelProto
    observation: Port
    action: Port
    states: tuple[tuple[Port, Port], ...]
    notes: tuple[str, ...]


def read_network(path: Path, names: NetworkMap) -> ForeignNetwork:
    """Reads a foreign file.

    Data that it keeps in other files of its folder are taken in.

    Args:
        path: the ONNX file.
        names: of its inputs and outputs.

    Raises:
        PolicyError: in one line: what is wrong with it, and what to do.
    """
    notes: list[str] = []
    model = _parse(path, notes)
    session = open_session(path, model.SerializeToString())
    inputs = {node.name: node for node in session.get_inputs()}
    outputs = {node.name: node for node in session.get_outputs()}
    states = _states(path, names, set(inputs), set(outputs))
    observation = _the_one(
        path, "observation", "input", names.observation, set(inputs) - set(states)
    )
    action_names = set(outputs) - set(states.values())
    action = _the_one(path, "action", "output", names.action, action_names)
    if others := sorted(set(inputs) - {observation, *states}):
        raise PolicyError(
            f"policy {path}: nothing is mapped to the input {others[0]!r}; a network has one "
            "observation and recurrent states: name the states in network.state, or export it so"
        )
    ports = {port.name: port for port in (_input(path, n, notes) for n in model.graph.input)}
    tried = run(path, session, {name: ports[name].zeros for name in (observation, *states)})
    pairs = tuple(_pair(path, ports[one], other, tried[other]) for one, other in states.items())
    rng = np.random.default_rng(0)
    feed = {
        name: rng.standard_normal(ports[name].shape).astype(ports[name].zeros.dtype)
        for name in (observation, *states)
    }
    converted = modern(path, model, session, feed, notes)
    return ForeignNetwork(
        converted,
        ports[observation],
        _output(path, action, tried[action]),
        pairs,
        tuple(dict.fromkeys(notes)),
    )


def _parse(path: Path, notes: list[str]) -> onnx.ModelProto:
    content = read_policy(path)
    try:
        model: onnx.ModelProto = onnx.ModelProto.FromString(content)
    except DecodeError as error:
        raise PolicyError(f"policy {path}: not an ONNX file ({one_line(error)})") from error
    if not model.graph.node:
        raise PolicyError(f"policy {path}: not an ONNX file, or one without any operation")
    nodes = chain(model.graph.node, *(function.node for function in model.functions))
    if drawn := sorted({node.op_type for node in nodes} & _RANDOM):
        raise PolicyError(
            f"policy {path}: draws at random ({drawn[0]}), so that no run of it can be repeated; "
            "export the mean of its actions, in evaluation mode"
        )
    if has_external_data(content):
        try:
            external_data_helper.load_external_data_for_model(model, str(path.parent))
        except (OSError, ValueError, onnx.checker.ValidationError) as error:
            raise PolicyError(
                f"policy {path}: keeps data in another file, which cannot be read "
                f"({one_line(error, 120)}); put it into the same folder, or export one file"
            ) from error
        notes.append("took in the data that it kept in another file")
    weights = {tensor.name for tensor in model.graph.initializer}
    # Old files list weights among the inputs.
    inputs = [node for node in model.graph.input if node.name not in weights]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    return model


def _states(path: Path, names: NetworkMap, inputs: set[str], outputs: set[str]) -> dict[str, str]:
    if not names.state:
        stems = {name.removesuffix("_in") for name in inputs if name.endswith("_in")}
        stems &= {name.removesuffix("_out") for name in outputs if name.endswith("_out")}
        return {f"{stem}_in": f"{stem}_out" for stem in sorted(stems)}
    for entering, leaving in names.state.items():
        _require(path, "network.state", "input", entering, inputs)
        _require(path, "network.state", "output", leaving, outputs)
    if len(set(names.state.values())) < len(names.state):
        raise PolicyError(f"policy {path}: network.state gives one output to two states")
    return dict(names.state)


def _require(path: Path, key: str, kind: str, name: str, known: set[str]) -> None:
    if name not in known:
        listed = ", ".join(sorted(known)) or "none"
        raise PolicyError(f"policy {path}: {key}: it has no {kind} {name!r:.60}; it has {listed}")


def _the_one(path: Path, key: str, kind: str, given: str, known: set[str]) -> str:
    """The input or output that is given, or the only one that is left."""
    if given:
        _require(path, f"network.{key}", kind, given, known)
        return given
    if len(known) != 1:
        listed = ", ".join(sorted(known)) or "none"
        raise PolicyError(
            f"policy {path}: which {kind} is the {key}? Name it as network.{key}: {listed}"
        )
    return known.pop()


def _input(path: Path, node: onnx.ValueInfoProto, notes: list[str]) -> Port:
    tensor = node.type.tensor_type
    if tensor.elem_type not in _NUMPY:
        raise PolicyError(
            f"policy {path}: input {node.name!r} holds {_type_name(tensor.elem_type)}, not "
            "floating-point numbers; export it with these"
        )
    shape = [dim.dim_value for dim in tensor.shape.dim]
    if shape and shape[-1] < 1:
        raise PolicyError(
            f"policy {path}: the size of input {node.name!r} is left open; export it with a fixed "
            "size, only the batch may be open"
        )
    if min(shape, default=1) < 1:
        notes.append("a batch that was left open is 1 now")
    return Port(node.name, tuple(max(1, size) for size in shape), tensor.elem_type)


def _type_name(number: int) -> str:
    return str(TensorProto.DataType.Name(number)).lower()


def _output(path: Path, name: str, value: NDArray[np.floating]) -> Port:
    for number, kind in _NUMPY.items():
        if value.dtype == np.dtype(kind):
            return Port(name, value.shape, number)
    raise PolicyError(
        f"policy {path}: output {name!r} holds {value.dtype}, not floating-point numbers; "
        "export it with these"
    )


def _pair(path: Path, before: Port, after: str, value: NDArray[np.floating]) -> tuple[Port, Port]:
    """A recurrent state: its input, and the output that follows it."""
    if value.size != before.size:
        raise PolicyError(
            f"policy {path}: state {before.name!r} has shape {before.shape}, and {after!r}, which "
            f"is to follow it, {value.shape}; pair them in network.state"
        )
    return before, _output(path, after, value)
