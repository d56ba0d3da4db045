"""The part of the adapter that converts the foreign action to the daemon's."""

import numpy as np

from inhand.hardware.model.hand import Hand
from inhand.hardware.records import Array
from inhand.training.foreign.graph_builder import GraphBuilder
from inhand.training.foreign.joints import Joints, per_element
from inhand.training.foreign.memory import Memory
from inhand.training.foreign.observation_graph import ObservationGraph
from inhand.training.foreign.policy_map import ActionMap

_SMALLEST_SPAN = 1e-6
"""Of the way from the middle of actions to an end of the range, where there is none [rad]."""


def own_action(
    graph: GraphBuilder,
    memory: Memory,
    observed: ObservationGraph,
    given: ActionMap,
    joints: Joints,
    action: str,
) -> str:
    """The daemon's action, (1, n_actuators): 0 is the hand's `action_zero`, -1 and 1 the
    ends of the range.

    Args:
        graph: where operations are added.
        memory: of the adapter.
        observed: what the daemon measures.
        given: what an action means.
        joints: of the foreign policy.
        action: of the foreign policy, clipped, (1, number of joints).
    """
    target = _hand_target(graph, joints, _wanted(graph, observed, given, joints, action))
    if given.smoothing < 1.0:
        share, none = np.array(given.smoothing), np.zeros(1)
        kept = graph.scaled(observed.tensor("last_target"), 1.0 - share, none)
        target = graph.node("Add", graph.scaled(target, share, none), kept)
    if memory.acts:
        target = graph.node("Where", memory.acts, target, observed.tensor("last_target"))
    if "last_target" in memory:
        memory.remember("last_target", target)
    return _around_zero(graph, joints.hand, target)


def _wanted(
    graph: GraphBuilder, observed: ObservationGraph, given: ActionMap, joints: Joints, action: str
) -> str:
    """Targets of the foreign policy's joints, in its terms [rad]."""
    size, (lower, upper) = len(joints.names), joints.range
    scale = per_element(given.scale, size, "action.scale")
    if given.kind == "range":
        half = (upper - lower) / 2
        wanted = graph.scaled(action, half, lower + half)
    elif given.kind == "offset":
        wanted = graph.scaled(action, scale, _center(given, joints))
    else:
        base = graph.mapped(observed.tensor(given.base), joints.matrix)
        base = graph.scaled(base, np.ones(1), joints.offsets)
        wanted = graph.node("Add", base, graph.scaled(action, scale, np.zeros(1)))
    return graph.between(wanted, lower, upper)


def _center(given: ActionMap, joints: Joints) -> Array:
    if isinstance(given.center, list):
        return per_element(given.center, len(joints.names), "action.center")
    lower, upper = joints.range
    known = {"rest": joints.theirs(joints.hand.action_zero), "middle": (lower + upper) / 2}
    return known.get(given.center, np.zeros(len(joints.names)))


def _hand_target(graph: GraphBuilder, joints: Joints, wanted: str) -> str:
    """Targets of all actuators [rad]."""
    bias = joints.fixed.copy()
    bias[joints.columns] = -joints.signs * joints.offsets
    # Signs are 1 or -1: the transposed matrix is the inverse.
    return graph.scaled(graph.mapped(wanted, joints.matrix.T), np.ones(1), bias)


def _around_zero(graph: GraphBuilder, hand: Hand, target: str) -> str:
    middle = hand.action_zero
    way = graph.node("Sub", target, graph.floats(middle))
    up, down = (
        graph.node("Div", way, graph.floats(np.maximum(span, _SMALLEST_SPAN)))
        for span in (hand.upper - middle, middle - hand.lower)
    )
    above = graph.node("GreaterOrEqual", way, graph.floats(0.0))
    return graph.bounded(graph.node("Where", above, up, down), 1.0)
