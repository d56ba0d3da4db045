"""Hand description: what a hand file holds, and what of it contradicts itself."""

from collections.abc import Iterator
from typing import Literal

import msgspec
import numpy as np

from inhand.hardware.model.turn_limits import turn_problem

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


class Power(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Currents that the hand and its supply are made for.

    Attributes:
        supply_current: that all servos together may take [A].
        servo_current: largest current of a servo [A], by servo model or by actuator; the actuator
            comes first.
        source: where these numbers are from.
    """

    supply_current: float
    servo_current: dict[str, float]
    source: str


class HandDescription(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole hand file."""

    name: str
    schema: Literal[1]
    root: str
    workspace: Workspace
    collision_groups: dict[str, tuple[str, ...]]
    links: tuple[Link, ...]
    actuators: tuple[Actuator, ...]
    power: Power | None = None


def problems(data: HandDescription) -> Iterator[str]:
    """Yields why no model can be built from a description.

    Stop at the first one: each check assumes that those before it found nothing.
    """
    for what, names in (
        ("link", [link.name for link in data.links]),
        ("joint", [link.joint for link in data.links]),
        ("actuator", [a.name for a in data.actuators]),
        ("joint in actuators", [j for a in data.actuators for j in a.joints]),
        ("servo id", [str(a.servo.id) for a in data.actuators]),
    ):
        for name in sorted({n for n in names if names.count(n) > 1}):
            yield f"{what} {name} is named twice"
    seen = {data.root}
    for link in data.links:
        if link.parent not in seen:
            yield f"link {link.name}: parent {link.parent} must stand before it"
        if not link.range[0] < link.range[1]:
            yield f"joint {link.joint}: range {link.range} is empty"
        if not np.any(link.axis) or link.mass <= 0 or link.rotor_inertia <= 0:
            yield f"link {link.name}: axis, mass and rotor_inertia must not be zero"
        for shape in link.shapes:
            if len(shape.size) != {"box": 3, "capsule": 2}[shape.kind] or min(shape.size) <= 0:
                yield f"link {link.name}: {shape.kind} size {shape.size} is not one"
        seen.add(link.name)
    ranges = {link.joint: link.range for link in data.links}
    moved = {joint for a in data.actuators for joint in a.joints}
    if moved != ranges.keys():
        yield f"joints and actuators disagree about {sorted(moved ^ ranges.keys())}"
    for actuator in data.actuators:
        low, high = ranges[actuator.joints[0]]
        if any(ranges[joint] != (low, high) for joint in actuator.joints):
            yield f"actuator {actuator.name}: coupled joints must share one range"
        if problem := turn_problem(actuator.name, actuator.servo.zero, low, high):
            yield problem
        if not low <= actuator.rest <= high:
            yield f"actuator {actuator.name}: rest {actuator.rest} outside [{low}, {high}]"
        positive = (
            actuator.gain,
            actuator.torque_limit,
            actuator.velocity_limit,
            actuator.acceleration_limit,
        )
        if min(positive) <= 0:
            yield f"actuator {actuator.name}: gain and limits must be positive"
        if not 0 <= actuator.servo.id <= 252:
            yield f"actuator {actuator.name}: servo id {actuator.servo.id} is not in 0..252"
    if data.power is not None:
        currents = data.power.supply_current, *data.power.servo_current.values()
        if not all(0 < current < float("inf") for current in currents):
            yield "[power]: currents must be positive"
        known = {a.name for a in data.actuators} | {a.servo.model for a in data.actuators}
        for name in sorted(data.power.servo_current.keys() - known):
            yield f"[power] servo_current: {name} is neither an actuator nor a servo model here"
    for link_name in [name for group in data.collision_groups.values() for name in group]:
        if link_name not in seen:
            yield f"collision group names unknown link {link_name}"
