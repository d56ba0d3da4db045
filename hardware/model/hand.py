"""Hand description, read from one TOML file."""

import hashlib
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, product
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from inhand.hardware.errors import DescriptionError
from inhand.hardware.model.turn_limits import turn_problem
from inhand.hardware.records import Array, frozen_array

HANDS = Path(__file__).parents[1] / "hands"

Vector = tuple[float, float, float]


class Shape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A collision primitive in its link's frame.

    `size` is half-extents [m] for a box, (radius, half-length) [m] for a capsule along z.
    """

    kind: Literal["box", "capsule"]
    size: tuple[float, ...]
    position: Vector


class Link(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A link and its hinge joint to the parent. Units as in the hand file."""

    name: str
    parent: str
    joint: str
    axis: Vector
    range: tuple[float, float]
    origin: Vector
    rpy: Vector
    mass: float
    rotor_inertia: float
    damping: float
    friction: float
    tip: Vector | None = None
    shapes: tuple[Shape, ...] = ()


class Servo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Servo of an actuator: bus id, model, and the map from its register to the angle."""

    id: int
    sign: Literal[-1, 1]
    zero: float
    model: str


class Actuator(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A servo and the joints it moves 1:1."""

    name: str
    joints: tuple[str, ...]
    rest: float
    gain: float
    torque_limit: float
    velocity_limit: float
    acceleration_limit: float
    servo: Servo


class Workspace(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where an object counts as held [m, world frame]."""

    object_start: Vector
    center: Vector
    radius: float
    drop_height: float


class _HandFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    schema: Literal[1]
    root: str
    workspace: Workspace
    collision_groups: dict[str, tuple[str, ...]]
    links: tuple[Link, ...]
    actuators: tuple[Actuator, ...]


@dataclass(frozen=True, eq=False)
class Hand:
    """A checked hand description with derived arrays.

    Joint order is the order of `links`; actuator order is the order of `actuators`.
    """

    name: str
    root: str
    digest: str
    workspace: Workspace
    collision_groups: dict[str, tuple[str, ...]]
    links: tuple[Link, ...]
    actuators: tuple[Actuator, ...]

    @property
    def n_joints(self) -> int:
        return len(self.links)

    @property
    def n_actuators(self) -> int:
        return len(self.actuators)

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
    def couplings(self) -> tuple[tuple[int, int], ...]:
        """(leading joint, following joint) of each pair that moves 1:1."""
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
        """Rest pose [rad], (n_actuators,)."""
        return frozen_array([a.rest for a in self.actuators])

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
    def collision_pairs(self) -> tuple[tuple[str, str], ...]:
        """Pairs of links that collide with each other, by name."""
        groups = self.collision_groups.values()
        return tuple(pair for one, two in combinations(groups, 2) for pair in product(one, two))

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
        """Joint angles from actuator angles: coupled joints have the angle of their actuator.

        Args:
            actuator_angles: [rad], (..., n_actuators).

        Returns:
            Joint angles [rad], (..., n_joints).
        """
        return actuator_angles[..., list(self.actuator_of_joint)]


def hand_file(name: str | Path) -> Path:
    """The file of a hand, given by its name or path."""
    return Path(name) if str(name).endswith(".toml") else HANDS / f"{name}.toml"


def load_hand(name: str | Path) -> Hand:
    """Loads a hand by its name (a file in `hardware/hands/`) or by the path of its file.

    Raises:
        DescriptionError: the file is missing, malformed or contradicts itself.
    """
    path = hand_file(name)
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        known = ", ".join(sorted(p.stem for p in HANDS.glob("*.toml")))
        raise DescriptionError(f"no hand file {path}; give a path or one of: {known}") from None
    return parse_hand(raw, path)


def parse_hand(raw: bytes, path: str | Path) -> Hand:
    """The hand that the content of a file describes; `path` is for messages.

    Raises:
        DescriptionError: the content is malformed or contradicts itself.
    """
    try:
        data = msgspec.convert(tomllib.loads(raw.decode()), _HandFile)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise DescriptionError(f"hand file {path}: {error}") from error
    _check(data, path)
    return Hand(
        name=data.name,
        root=data.root,
        digest=hashlib.sha256(raw).hexdigest(),
        workspace=data.workspace,
        collision_groups=data.collision_groups,
        links=data.links,
        actuators=data.actuators,
    )


def _check(data: _HandFile, path: str | Path) -> None:
    """Refuses a description from which no model can be built."""

    def refuse(problem: str) -> None:
        raise DescriptionError(f"hand file {path}: {problem}")

    for what, names in (
        ("link", [link.name for link in data.links]),
        ("joint", [link.joint for link in data.links]),
        ("actuator", [a.name for a in data.actuators]),
        ("joint in actuators", [j for a in data.actuators for j in a.joints]),
        ("servo id", [str(a.servo.id) for a in data.actuators]),
    ):
        for name in sorted({n for n in names if names.count(n) > 1}):
            refuse(f"{what} {name} is named twice")
    seen = {data.root}
    for link in data.links:
        if link.parent not in seen:
            refuse(f"link {link.name}: parent {link.parent} must stand before it")
        if not link.range[0] < link.range[1]:
            refuse(f"joint {link.joint}: range {link.range} is empty")
        if not np.any(link.axis) or link.mass <= 0 or link.rotor_inertia <= 0:
            refuse(f"link {link.name}: axis, mass and rotor_inertia must not be zero")
        for shape in link.shapes:
            if len(shape.size) != {"box": 3, "capsule": 2}[shape.kind] or min(shape.size) <= 0:
                refuse(f"link {link.name}: {shape.kind} size {shape.size} is not one")
        seen.add(link.name)
    ranges = {link.joint: link.range for link in data.links}
    moved = {joint for a in data.actuators for joint in a.joints}
    if moved != ranges.keys():
        refuse(f"joints and actuators disagree about {sorted(moved ^ ranges.keys())}")
    for actuator in data.actuators:
        low, high = ranges[actuator.joints[0]]
        if any(ranges[joint] != (low, high) for joint in actuator.joints):
            refuse(f"actuator {actuator.name}: coupled joints must share one range")
        if problem := turn_problem(actuator.name, actuator.servo.zero, low, high):
            refuse(problem)
        if not low <= actuator.rest <= high:
            refuse(f"actuator {actuator.name}: rest {actuator.rest} outside [{low}, {high}]")
        positive = (
            actuator.gain,
            actuator.torque_limit,
            actuator.velocity_limit,
            actuator.acceleration_limit,
        )
        if min(positive) <= 0:
            refuse(f"actuator {actuator.name}: gain and limits must be positive")
        if not 0 <= actuator.servo.id <= 252:
            refuse(f"actuator {actuator.name}: servo id {actuator.servo.id} is not in 0..252")
    for link_name in [name for group in data.collision_groups.values() for name in group]:
        if link_name not in seen:
            refuse(f"collision group names unknown link {link_name}")
