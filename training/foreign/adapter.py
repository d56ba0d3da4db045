"""The adapter: an ONNX graph around a foreign network, so that the daemon can run it as its own.

What the foreign policy remembers (recurrent states, earlier observations, its last action and
target) is one vector, `h`, that the daemon carries from step to step and sets to zero at the start.
`c` is not used.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import onnx
from onnx import TensorProto, compose, helper

from inhand.controller.errors import PolicyError
from inhand.controller.policy.observation import observation_size
from inhand.hardware.model.hand import Hand
from inhand.training.foreign.action_graph import own_action
from inhand.training.foreign.conversion import OPSET
from inhand.training.foreign.foreign_network import ForeignNetwork
from inhand.training.foreign.graph_builder import GraphBuilder
from inhand.training.foreign.joints import Joints
from inhand.training.foreign.memory import Memory
from inhand.training.foreign.observation_graph import ObservationGraph, require_elements
from inhand.training.foreign.policy_map import ActionMap, PolicyMap

_PREFIX = "foreign/"


@dataclass(frozen=True)
class Adapted:
    """A foreign network with its adapter.

    Attributes:
        model: without metadata.
        version: of the daemon's observation that it reads.
        policy_rate: steps of the file a second [Hz].
        sizes: elements of each part of the foreign observation, with its history.
        joints: of the foreign policy.
    """

    model: onnx.ModelProto
    version: int
    policy_rate: int
    sizes: tuple[int, ...]
    joints: Joints


def adapt(given: PolicyMap, network: ForeignNetwork, hand: Hand) -> Adapted:
    """Builds the graph.

    A rate that does not divide the daemon's tick rate makes a file that steps with each tick, and
    in which the network acts when its time has come.

    Args:
        given: the policy map.
        network: the foreign network.
        hand: the hand of the map.

    Raises:
        PolicyError: map, network and hand do not fit together.
    """
    joints = Joints(given.joints, hand)
    batch = network.action.shape[0]
    if len(network.action.shape) > 1 and batch > 1 and network.observation.shape[0] == batch:
        raise PolicyError(
            f"the network acts for a batch of {batch} at once; export it with a batch of 1, or "
            "with a batch that is left open"
        )
    size = len(given.action.select) or network.action.size
    if size != len(joints.names):
        raise PolicyError(
            f"the network's action {network.action.name!r} has {size} elements, the map has "
            f"{len(joints.names)} joints; name the joints that it moves in joints.order and the "
            "others in joints.fixed, or choose elements with action.select"
        )
    divides = given.tick_rate % given.rate == 0
    graph = GraphBuilder()
    memory = Memory(graph, 1.0 if divides else given.rate / given.tick_rate)
    observed = ObservationGraph(graph, memory, given, hand, joints)
    read = observed.observation(network.observation.name, network.observation.shape)
    sparse = _join(graph, memory, network, read)
    action = _action(graph, network, given.action)
    if "last_action" in memory:
        memory.remember("last_action", action)
    own = own_action(graph, memory, observed, given.action, joints, action)
    graph.node("Identity", own, name="actions")
    memory.close()
    model = _assembled(graph, memory.size, sparse, network.model, hand, observed.version)
    rate = round(given.rate) if divides else given.tick_rate
    return Adapted(model, observed.version, rate, tuple(observed.sizes), joints)


def _join(
    graph: GraphBuilder, memory: Memory, network: ForeignNetwork, observation: str
) -> list[onnx.SparseTensorProto]:
    """Adds the network, from observation and states to their successors; its sparse weights."""
    inputs = [(network.observation, observation)]
    inputs += [(port, memory.recall(_state(port.name), port.size)) for port, _ in network.states]
    for port, tensor in inputs:
        shaped = graph.shaped(tensor, *port.shape)
        graph.node("Cast", shaped, name=_PREFIX + port.name, to=port.type)
    foreign = compose.add_prefix(network.model, _PREFIX, rename_functions=False).graph
    graph.nodes.extend(foreign.node)
    graph.constants.extend(foreign.initializer)
    for entering, leaving in network.states:
        flat = graph.shaped(_PREFIX + leaving.name, 1, entering.size)
        memory.remember(_state(entering.name), graph.node("Cast", flat, to=TensorProto.FLOAT))
    return list(foreign.sparse_initializer)


def _state(name: str) -> str:
    """Name of a recurrent state in the memory, where other things are, too."""
    return f"state {name}"


def _action(graph: GraphBuilder, network: ForeignNetwork, given: ActionMap) -> str:
    """The network's action, selected and clipped, (1, number of joints)."""
    action = graph.shaped(_PREFIX + network.action.name, 1, network.action.size)
    action = graph.node("Cast", action, to=TensorProto.FLOAT)
    if given.select:
        require_elements(given.select, network.action.size, "action.select")
        action = graph.picked(action, given.select)
    if given.tanh:
        action = graph.node("Tanh", action)
    return graph.bounded(action, given.clip) if given.clip else action


def _assembled(
    graph: GraphBuilder,
    memory: int,
    sparse: list[onnx.SparseTensorProto],
    foreign: onnx.ModelProto,
    hand: Hand,
    version: int,
) -> onnx.ModelProto:
    """The model of all nodes, with so many elements of memory."""

    def values(shapes: dict[str, Sequence[int]]) -> list[onnx.ValueInfoProto]:
        return [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in shapes.items()
        ]

    state = (1, 1, memory)
    built = helper.make_graph(
        graph.nodes,
        "policy",
        values({"obs": (1, observation_size(hand, version)), "h_in": state, "c_in": state}),
        values({"actions": (1, hand.n_actuators), "h_out": state, "c_out": state}),
        graph.constants,
        sparse_initializer=sparse,
    )
    opsets = [o for o in foreign.opset_import if o.domain not in ("", "ai.onnx")]
    own = [o.version for o in foreign.opset_import if o.domain in ("", "ai.onnx")]
    return helper.make_model(
        built,
        opset_imports=[*opsets, helper.make_opsetid("", max(own, default=OPSET))],
        functions=list(foreign.functions),
        ir_version=max(9, foreign.ir_version),
    )
