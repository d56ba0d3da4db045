"""Hand description, read from one TOML file."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations, product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inhand.descriptions import DescriptionKind
from inhand.hardware.errors import DescriptionError
from inhand.hardware.model.fixed_links import without_fixed_links
from inhand.hardware.model.hand_description import (
    Actuator,
    Drawing,
    HandDescription,
    Link,
    Power,
    Shape,
    Workspace,
)
from inhand.hardware.model.hand_facts import Facts, digest_of, facts_of
from inhand.hardware.model.hand_rules import joint_map, problems
from inhand.hardware.records import Array, frozen_array

HANDS = Path(__file__).parents[1] / "hands"
HAND_FILES = DescriptionKind("hand", DescriptionError, HANDS)


@dataclass(frozen=True, eq=False)
class Hand:
    """A checked hand description with derived arrays.

    Joint order is the order of `links`; actuator order is the order of `actuators`. The digest is
    that of `facts`, which do not cover `power`. Fixed links of the file are parts of the links that
    carry them; what is fixed to the root is in `root_shapes` and `root_drawings`. Files of drawings
    are relative to `folder`.
    """

    name: str
    root: str
    digest: str
    workspace: Workspace
    collision_groups: dict[str, tuple[str, ...]]
    links: tuple[Link, ...]
    actuators: tuple[Actuator, ...]
    power: Power | None = None
    root_shapes: tuple[Shape, ...] = ()
    root_drawings: tuple[Drawing, ...] = ()
    folder: Path = Path()

    @property
    def n_joints(self) -> int:
        return len(self.links)

    @property
    def n_actuators(self) -> int:
        return len(self.actuators)

    @cached_property
    def facts(self) -> Facts:
        """What of the hand a policy depends on."""
        return facts_of(
            self.name,
            self.root,
            self.workspace,
            self.collision_groups,
            self.links,
            self.actuators,
            self.root_shapes,
        )

    @cached_property
    def joint_names(self) -> tuple[str, ...]:
        return tuple(link.joint for link in self.links)

    @cached_property
    def actuator_names(self) -> tuple[str, ...]:
        return tuple(actuator.name for actuator in self.actuators)

    @cached_property
    def link_names(self) -> tuple[str, ...]:
        return tuple(link.name for link in self.links)

    @cached_property
    def actuator_of_joint(self) -> tuple[int, ...]:
        """For each joint, the index of the actuator that moves it, (n_joints,)."""
        owner = {joint: i for i, a in enumerate(self.actuators) for joint in a.joints}
        return tuple(owner[name] for name in self.joint_names)

    @cached_property
    def driven_joint(self) -> tuple[int, ...]:
        """For each actuator, the index of the joint its servo acts on, (n_actuators,)."""
        return tuple(self.joint_names.index(a.joints[0]) for a in self.actuators)

    @cached_property
    def parents(self) -> tuple[int, ...]:
        """For each link, the index of its parent link; -1 is the root, (n_joints,)."""
        index = {self.root: -1} | {name: i for i, name in enumerate(self.link_names)}
        return tuple(index[link.parent] for link in self.links)

    @cached_property
    def moved_by(self) -> NDArray[np.bool_]:
        """Whether joint j moves link i, (n_joints, n_joints); a link moves with its own joint."""
        moved = np.eye(self.n_joints, dtype=np.bool_)
        for i, parent in enumerate(self.parents):
            if parent >= 0:
                moved[i] |= moved[parent]
        moved.setflags(write=False)
        return moved

    @cached_property
    def joint_ratios(self) -> Array:
        """Turn of each joint per turn of its actuator, (n_joints,)."""
        return self._of_joints(0)

    @cached_property
    def joint_offsets(self) -> Array:
        """Angle of each joint where its actuator is at zero [rad], (n_joints,)."""
        return self._of_joints(1)

    def _of_joints(self, column: int) -> Array:
        values = {
            joint: joint_map(actuator)[column][at]
            for actuator in self.actuators
            for at, joint in enumerate(actuator.joints)
        }
        return frozen_array([values[name] for name in self.joint_names])

    @cached_property
    def couplings(self) -> tuple[tuple[int, int], ...]:
        """(leading joint, following joint) of each pair that one servo moves.

        The following joint has the angle `joint_ratios` times that of the leading one, plus
        `joint_offsets`.
        """
        index = self.joint_names.index
        return tuple(
            (index(a.joints[0]), index(joint)) for a in self.actuators for joint in a.joints[1:]
        )

    @cached_property
    def fingertips(self) -> tuple[int, ...]:
        """Indices of the links that carry a fingertip."""
        return tuple(i for i, link in enumerate(self.links) if link.tip is not None)

    @cached_property
    def lower(self) -> Array:
        """Lower actuator limits [rad], (n_actuators,)."""
        return frozen_array([self.links[j].range[0] for j in self.driven_joint])

    @cached_property
    def upper(self) -> Array:
        """Upper actuator limits [rad], (n_actuators,)."""
        return frozen_array([self.links[j].range[1] for j in self.driven_joint])

    @cached_property
    def rest(self) -> Array:
        """Rest pose, in which the hand waits for an object and for goals [rad], (n_actuators,)."""
        return frozen_array([a.rest for a in self.actuators])

    @cached_property
    def action_zero(self) -> Array:
        """Targets that a policy's action 0 commands [rad], (n_actuators,)."""
        return frozen_array(
            [a.rest if a.action_zero is None else a.action_zero for a in self.actuators]
        )

    @cached_property
    def straight(self) -> Array:
        """Stretched fingers: zero, or the nearest end of the range [rad], (n_actuators,)."""
        return frozen_array(np.clip(np.zeros(self.n_actuators), self.lower, self.upper))

    @cached_property
    def velocity_limit(self) -> Array:
        """Largest speed of a target [rad/s], (n_actuators,)."""
        return frozen_array([a.velocity_limit for a in self.actuators])

    @cached_property
    def acceleration_limit(self) -> Array:
        """Largest acceleration of a target [rad/s²], (n_actuators,)."""
        return frozen_array([a.acceleration_limit for a in self.actuators])

    @cached_property
    def gain(self) -> Array:
        """Position gains [N·m/rad], (n_actuators,)."""
        return frozen_array([a.gain for a in self.actuators])

    @cached_property
    def torque_limit(self) -> Array:
        """Torque limits of the servo's spring [N·m], (n_actuators,)."""
        return frozen_array([a.torque_limit for a in self.actuators])

    @cached_property
    def continuous_torque(self) -> Array:
        """Torques that the servos bear without an end [N·m], (n_actuators,); 0: not known."""
        return frozen_array([a.continuous_torque or 0.0 for a in self.actuators])

    @cached_property
    def collision_pairs(self) -> tuple[tuple[str, str], ...]:
        """Pairs of links that collide with each other, by name."""
        groups = self.collision_groups.values()
        return tuple(
            (a, b) for one, two in combinations(groups, 2) for a, b in product(one, two) if a != b
        )

    def find_actuators(self, names: Iterable[str]) -> list[int]:
        """Indices of actuators by their names; of all actuators if `names` is empty.

        Raises:
            DescriptionError: there is no such actuator.
        """
        wanted = list(names) or list(self.actuator_names)
        if unknown := [name for name in wanted if name not in self.actuator_names]:
            raise DescriptionError(
                f"hand {self.name} has no actuator {', '.join(unknown)}; it has "
                f"{', '.join(self.actuator_names)}"
            )
        return [self.actuator_names.index(name) for name in wanted]

    def joint_angles(self, actuator_angles: Array) -> Array:
        """Joint angles from actuator angles, through the couplings.

        Args:
            actuator_angles: [rad], (..., n_actuators).

        Returns:
            Joint angles [rad], (..., n_joints).
        """
        return self.joint_speeds(actuator_angles) + self.joint_offsets

    def joint_speeds(self, actuator_speeds: Array) -> Array:
        """Joint speeds [rad/s], (..., n_joints), from those of actuators, (..., n_actuators)."""
        speeds: Array = actuator_speeds[..., list(self.actuator_of_joint)] * self.joint_ratios
        return speeds


def hand_file(name: str | Path) -> Path:
    """The file of a hand, given by its name or path."""
    return HAND_FILES.file(name)


def load_hand(name: str | Path) -> Hand:
    """Loads a hand by its name (a file in `hardware/hands/`) or by the path of its file.

    Raises:
        DescriptionError: the file is missing, malformed or contradicts itself.
    """
    return parse_hand(HAND_FILES.read(name), hand_file(name))


def parse_hand(raw: bytes, path: str | Path) -> Hand:
    """The hand that the content of a file describes; `path` is for messages.

    Raises:
        DescriptionError: the content is malformed or contradicts itself.
    """
    data = HAND_FILES.convert(raw, path, HandDescription)
    for problem in problems(data):
        raise DescriptionError(f"hand file {path}: {problem}")
    parts = without_fixed_links(data)
    hand = Hand(
        data.name,
        data.root,
        "",
        data.workspace,
        parts.collision_groups,
        parts.links,
        data.actuators,
        data.power,
        parts.root_shapes,
        parts.root_drawings,
        Path(path).parent,
    )
    return replace(hand, digest=digest_of(hand.facts))
