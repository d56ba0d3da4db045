"""The ONNX file of a policy that was made elsewhere: read, completed and checked."""

from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import TensorProto, external_data_helper, version_converter

from inhand.controller.errors import PolicyError
from inhand.controller.policy.onnx_file import has_external_data
from inhand.controller.policy.onnx_session import one_line, open_session, read_policy
from inhand.training.foreign.policy_map import NetworkMap

OPSET = 17
"""Opset that the adapter is written in; networks with an older one are converted."""

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
        model: complete in itself, of an opset not below `OPSET`.
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
    tried = _run(path, session, {name: ports[name].zeros for name in (observation, *states)})
    pairs = []
    for before, after in states.items():
        port = ports[before]
        if tried[after].size != port.size:
            raise PolicyError(
                f"policy {path}: state {before!r} has shape {port.shape}, and {after!r}, which "
                f"is to follow it, {tried[after].shape}; pair them in network.state"
            )
        pairs.append((port, _output(path, after, tried[after])))
    converted = _modern(path, model, notes)
    return ForeignNetwork(
        converted,
        ports[observation],
        _output(path, action, tried[action]),
        tuple(pairs),
        tuple(dict.fromkeys(notes)),
    )


def run_network(network: ForeignNetwork, observations: NDArray[np.float32]) -> NDArray[np.float32]:
    """Actions of a network, as it is, over a sequence of its own observations, (steps, actions)."""
    session = open_session(Path("network"), network.model.SerializeToString())
    states = {entering.name: entering.zeros for entering, _ in network.states}
    actions = []
    for row in observations:
        shaped = row.reshape(network.observation.shape).astype(network.observation.zeros.dtype)
        found = _run(Path("network"), session, {network.observation.name: shaped, **states})
        states = {
            entering.name: found[leaving.name].reshape(entering.shape)
            for entering, leaving in network.states
        }
        actions.append(found[network.action.name].ravel().astype(np.float32))
    return np.stack(actions)


def _parse(path: Path, notes: list[str]) -> onnx.ModelProto:
    content = read_policy(path)
    try:
        model: onnx.ModelProto = onnx.ModelProto.FromString(content)
    except DecodeError as error:
        raise PolicyError(f"policy {path}: not an ONNX file ({one_line(error)})") from error
    if not model.graph.node:
        raise PolicyError(f"policy {path}: not an ONNX file, or one without any operation")
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


def _run(
    path: Path, session: ort.InferenceSession, feed: dict[str, NDArray[np.floating]]
) -> dict[str, NDArray[np.floating]]:
    try:
        values = session.run(None, feed)
    except Exception as error:  # ONNX Runtime's exceptions share no narrower base.
        raise PolicyError(
            f"policy {path}: it does not run with a batch of 1: {one_line(error)}"
        ) from error
    return {node.name: value for node, value in zip(session.get_outputs(), values, strict=True)}


def _modern(path: Path, model: onnx.ModelProto, notes: list[str]) -> onnx.ModelProto:
    """The model in the adapter's opset, or a newer one if it has that."""
    version = max((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), default=1)
    if version >= OPSET:
        return model
    try:
        converted = version_converter.convert_version(model, OPSET)
    except Exception as error:  # The converter's exceptions share no narrower base.
        raise PolicyError(
            f"policy {path}: opset {version} cannot be converted to {OPSET} "
            f"({one_line(error, 100)}); export it with opset {OPSET} or newer"
        ) from error
    notes.append(f"converted from opset {version} to {OPSET}")
    return converted
