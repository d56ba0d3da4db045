"""The part of the adapter that converts the daemon's observation to the foreign one."""

import numpy as np

from inhand.controller.errors import PolicyError
from inhand.controller.policy.observation import observation_layout
from inhand.hardware.model.hand import Hand
from inhand.training.foreign.graph_builder import GraphBuilder
from inhand.training.foreign.joints import Joints, per_element
from inhand.training.foreign.memory import Memory
from inhand.training.foreign.policy_map import PartMap, PolicyMap
from inhand.training.foreign.sources import QUATERNIONS, source_of, version_for


class ObservationGraph:
    """Builds it.

    Args:
        graph: where operations are added.
        memory: of the adapter.
        given: the policy map.
        hand: the hand of the map.
        joints: its joints.

    Attributes:
        version: of the daemon's observation that it reads.
        sizes: elements of each part, with its history.
    """

    def __init__(
        self, graph: GraphBuilder, memory: Memory, given: PolicyMap, hand: Hand, joints: Joints
    ) -> None:
        self._graph, self._memory, self._map = graph, memory, given
        self._hand, self._joints = hand, joints
        self.version = version_for(hand, given.observation)
        self.sizes: list[int] = []
        self._tensors: dict[str, str] = {}

    def observation(self, name: str, shape: tuple[int, ...]) -> str:
        """What the network reads.

        Args:
            name: of the network's input, for messages.
            shape: of it.

        Raises:
            PolicyError: map, network and hand do not fit together.
        """
        graph, given = self._graph, self._map
        parts = []
        for part in given.observation:
            tensor, size = self._part(part)
            parts.append(self._stacked(tensor, size, part.history, f"part {part.name}"))
            self.sizes.append(size * part.history)
        steps = given.history.steps
        whole = self._stacked(graph.joined(parts), sum(self.sizes), steps, "observation")
        size, wanted = sum(self.sizes) * steps, int(np.prod(shape))
        if size != wanted:
            pairs = zip(given.observation, self.sizes, strict=True)
            listed = ", ".join(f"{part.name} {elements}" for part, elements in pairs)
            times = f", times {steps} steps" if steps > 1 else ""
            raise PolicyError(
                f"the parts of the observation have {size} elements ({listed}{times}), the "
                f"network's input {name!r} has {wanted}, as its shape is {shape}; correct the map"
            )
        norm = given.normalization
        mean = per_element(norm.mean, size, "normalization.mean")
        deviation = per_element(norm.deviation, size, "normalization.deviation") + norm.epsilon
        if np.any(mean != 0.0) or np.any(deviation != 1.0):
            whole = graph.node("Sub", whole, graph.floats(mean))
            whole = graph.node("Div", whole, graph.floats(deviation))
        return graph.bounded(whole, norm.clip) if norm.clip else whole

    def _part(self, part: PartMap) -> tuple[str, int]:
        """One step of a part, and its number of elements."""
        graph, what = self._graph, f"part {part.name!r}"
        source = source_of(part, self._hand, self._joints, self._map.frame)
        size = len(source.bias)
        if source.tensor:
            tensor = graph.mapped(self.tensor(source.tensor), source.matrix)
            tensor = graph.scaled(tensor, np.ones(1), source.bias)
        else:
            tensor = graph.floats(source.bias)
        if source.tensor in QUATERNIONS:
            flipped = graph.node("Less", graph.columns(tensor, 0, 1), graph.floats(0.0))
            tensor = graph.node("Where", flipped, graph.node("Neg", tensor), tensor)
        if part.select:
            require_elements(part.select, size, f"{what}: select")
            tensor, size = graph.picked(tensor, part.select), len(part.select)
        scale = per_element(part.scale, size, f"{what}: scale")
        offset = per_element(part.offset, size, f"{what}: offset")
        tensor = graph.scaled(tensor, scale, offset)
        return (graph.bounded(tensor, part.clip) if part.clip else tensor), size

    def _stacked(self, tensor: str, size: int, steps: int, name: str) -> str:
        """A tensor with those of the steps before it."""
        if steps == 1:
            return tensor
        graph, history = self._graph, self._map.history
        kept = (steps - 1) * size
        before = self._memory.recall(name, kept)
        if history.fill == "repeat":
            repeated = graph.node("Tile", tensor, graph.integers(1, steps - 1))
            before = graph.node("Where", self._memory.first, repeated, before)
        oldest_first = history.order == "oldest_first"
        stacked = graph.joined([before, tensor] if oldest_first else [tensor, before])
        begin = size if oldest_first else 0
        self._memory.remember(name, graph.columns(stacked, begin, begin + kept))
        return stacked

    def tensor(self, name: str) -> str:
        """A tensor of the daemon's quantities, by the name of a source; made once."""
        if name not in self._tensors:
            self._tensors[name] = self._made(name)
        return self._tensors[name]

    def _made(self, name: str) -> str:
        graph, at = self._graph, 0
        for part, size, _ in observation_layout(self._hand, self.version):
            if part == name:
                return graph.columns("obs", at, at + size)
            at += size
        match name:
            case "joint_velocity":
                return self._speed("joint_position", self._hand.n_actuators)
            case "object_velocity":
                return self._speed("object_from_palm", 3)
            case "target_error":
                return graph.node("Sub", self.tensor("joint_position"), self.tensor("sent_target"))
            case "fingertip_from_palm":
                times = graph.integers(1, len(self._hand.fingertips))
                place = graph.node("Tile", self.tensor("object_from_palm"), times)
                return graph.node("Add", self.tensor("fingertip_from_object"), place)
            case "rotation_to_go":
                half = graph.node("Mul", self.tensor("rotation_to_go_angle"), graph.floats(0.5))
                sine = graph.node("Sin", half)
                axis = graph.node("Mul", self.tensor("rotation_to_go_axis"), sine)
                return graph.joined([graph.node("Cos", half), axis])
            case "last_target":
                old = self._memory.recall(name, self._hand.n_actuators)
                return graph.node("Where", self._memory.first, self.tensor("sent_target"), old)
        return self._memory.recall("last_action", len(self._joints.names))

    def _speed(self, name: str, size: int) -> str:
        """Change of a tensor since the last step, a second; 0 in the first step."""
        graph, now = self._graph, self.tensor(name)
        change = graph.node("Sub", now, self._memory.recall(f"last {name}", size))
        self._memory.remember(f"last {name}", now)
        speed = graph.node("Mul", change, graph.floats(self._map.rate))
        return graph.node("Where", self._memory.first, graph.floats(np.zeros(size)), speed)


def require_elements(which: list[int], size: int, what: str) -> None:
    """Numbers of elements exist; raises PolicyError otherwise, and `what` says where they are."""
    if max(which) >= size:
        raise PolicyError(f"{what} names element {max(which)}, there are {size}, numbered from 0")
