"""Consistency checks of a hand description: contradictions from which no model can be built."""

import math
from collections.abc import Iterator

import msgspec
import numpy as np

from inhand.hardware.model.hand_description import (
    Actuator,
    FixedLink,
    HandDescription,
    Link,
    Power,
    Shape,
)
from inhand.hardware.model.solids import inertia_matrix
from inhand.hardware.model.turn_limits import turn_problem

MOST_JOINTS = 40
"""Of one hand; two Shadow hands in one file have 48."""
_SIZES = {"box": 3, "capsule": 2, "cylinder": 2, "sphere": 1}


def problems(data: HandDescription) -> Iterator[str]:
    """Yields why no model can be built from a description.

    Stop at the first one: each check assumes that those before it found nothing.
    """
    yield from _no_numbers("", msgspec.to_builtins(data))
    yield from _named_twice(data)
    if not data.links or not data.actuators:
        yield "a hand needs at least one link with a joint and one actuator"
    if len(data.links) > MOST_JOINTS:
        yield (
            f"it has {len(data.links)} joints, and a hand has at most {MOST_JOINTS}; describe one "
            "hand alone, without an arm and other robots"
        )
    yield from _tree_problems(data)
    for link in data.links:
        if not link.range[0] < link.range[1]:
            yield f"joint {link.joint}: range {link.range} is empty"
        if link.range[1] - link.range[0] > 2 * np.pi:
            yield (
                f"joint {link.joint}: range {link.range} is more than a turn; angles are in "
                "radians, not degrees"
            )
        if not np.any(link.axis) or link.mass <= 0:
            yield f"link {link.name}: axis and mass must not be zero"
        if min(link.rotor_inertia, link.armature, link.damping, link.friction) < 0:
            yield (
                f"link {link.name}: rotor_inertia, armature, damping and friction must not be "
                "negative"
            )
        solid = link.inertia is not None or link.shapes
        if not (link.rotor_inertia > 0 or link.armature > 0 or solid):
            yield (
                f"link {link.name} has no inertia; give it shapes, inertia, rotor_inertia or "
                "armature"
            )
    for part in _all_links(data):
        yield from _solid_problems(part)
    ranges = {link.joint: link.range for link in data.links}
    moved = {joint for a in data.actuators for joint in a.joints}
    if moved != ranges.keys():
        yield f"joints and actuators disagree about {sorted(moved ^ ranges.keys())}"
    for actuator in data.actuators:
        yield from _actuator_problems(actuator, ranges)
    if data.power is not None:
        yield from _power_problems(data, data.power)
    names = {data.root, *(part.name for part in _all_links(data))}
    for link_name in [name for group in data.collision_groups.values() for name in group]:
        if link_name not in names:
            yield f"collision group names unknown link {link_name}"


def _no_numbers(place: str, value: object) -> Iterator[str]:
    """What is infinite or no number; TOML can say both."""
    match value:
        case float() if not math.isfinite(value):
            yield f"{place.strip()} is {value}; give a number"
        case dict():
            name = value.get("name", "")
            for key, one in value.items():
                yield from _no_numbers(f"{place} {name} {key}" if name else f"{place} {key}", one)
        case list() | tuple():
            for one in value:
                yield from _no_numbers(place, one)


def _all_links(data: HandDescription) -> list[Link | FixedLink]:
    return [*data.links, *data.fixed_links]


def _named_twice(data: HandDescription) -> Iterator[str]:
    for what, names in (
        ("link", [data.root, *(part.name for part in _all_links(data))]),
        ("joint", [link.joint for link in data.links]),
        ("actuator", [a.name for a in data.actuators]),
        ("joint in actuators", [j for a in data.actuators for j in a.joints]),
        ("servo id", [str(a.servo.id) for a in data.actuators if a.servo is not None]),
    ):
        for name in sorted({n for n in names if names.count(n) > 1}):
            yield f"{what} {name} is named twice"


def _tree_problems(data: HandDescription) -> Iterator[str]:
    """Links that hang on nothing, and links out of order: a finger's links stand together."""
    parents = {part.name: part.parent for part in _all_links(data)}
    for name in parents:
        at, steps = name, 0
        while at != data.root:
            if at not in parents:
                yield f"link {name}: parent {at} must stand before it, and there is no such link"
                return
            at, steps = parents[at], steps + 1
            if steps > len(parents):
                yield f"link {name} is in a loop: its parents never reach root {data.root}"
                return
    fixed = {part.name for part in data.fixed_links}
    above: list[str] = [data.root]
    for link in data.links:
        carrier = link.parent
        while carrier in fixed:
            carrier = parents[carrier]
        if carrier not in above:
            yield (
                f"link {link.name}: parent {link.parent} must stand before it, and the links of "
                "one finger one after the other"
            )
            return
        above = [*above[: above.index(carrier) + 1], link.name]


def _solid_problems(part: Link | FixedLink) -> Iterator[str]:
    for shape in part.shapes:
        yield from _shape_problems(part.name, shape)
    if part.mass < 0:
        yield f"link {part.name}: mass {part.mass} is negative"
    if part.inertia is not None:
        principal = np.linalg.eigvalsh(inertia_matrix(part.inertia))
        if principal[0] <= 0 or principal[2] > (principal[0] + principal[1]) * (1 + 1e-6):
            yield (
                f"link {part.name}: no body has the inertia {part.inertia}; its principal "
                f"moments {principal.tolist()} must be positive, and none larger than the sum of "
                "the others"
            )


def _shape_problems(name: str, shape: Shape) -> Iterator[str]:
    if len(shape.size) != _SIZES[shape.kind] or min(shape.size) <= 0:
        yield f"link {name}: {shape.kind} size {shape.size} is not one"
    elif max(shape.size) > 1.0:
        yield (
            f"link {name}: a {shape.kind} of half-extent {max(shape.size)} m is no part of a "
            "hand; lengths are in metres, not millimetres"
        )


def _actuator_problems(actuator: Actuator, ranges: dict[str, tuple[float, float]]) -> Iterator[str]:
    name, joints = actuator.name, actuator.joints
    if not joints:
        yield f"actuator {name} moves no joint"
    low, high = ranges[joints[0]]
    for what, values in (("ratios", actuator.ratios), ("offsets", actuator.offsets)):
        if values and len(values) != len(joints):
            yield f"actuator {name}: {len(values)} {what} for {len(joints)} joints"
    ratios, offsets = joint_map(actuator)
    if ratios[0] != 1.0 or offsets[0] != 0.0:
        yield f"actuator {name}: its first joint must have ratio 1 and offset 0"
    if not all(ratios):
        yield f"actuator {name}: a ratio must not be zero"
    for joint, ratio, offset in zip(joints, ratios, offsets, strict=True):
        ends = sorted((ratio * low + offset, ratio * high + offset))
        if not actuator.ratios and not actuator.offsets and ranges[joint] != (low, high):
            yield f"actuator {name}: joints that move 1:1 must share one range"
        if ends[0] < ranges[joint][0] - 1e-9 or ends[1] > ranges[joint][1] + 1e-9:
            yield (
                f"actuator {name}: it moves joint {joint} through {ends}, beyond its range "
                f"{ranges[joint]}"
            )
    if actuator.servo is not None:
        if problem := turn_problem(name, actuator.servo.zero, low, high):
            yield problem
        if not 0 <= actuator.servo.id <= 252:
            yield f"actuator {name}: servo id {actuator.servo.id} is not in 0..252"
    if not low <= actuator.rest <= high:
        yield f"actuator {name}: rest {actuator.rest} outside [{low}, {high}]"
    if actuator.action_zero is not None and not low <= actuator.action_zero <= high:
        yield f"actuator {name}: action_zero {actuator.action_zero} outside [{low}, {high}]"
    positive = (
        actuator.gain,
        actuator.torque_limit,
        actuator.velocity_limit,
        actuator.acceleration_limit,
    )
    if min(positive) <= 0:
        yield f"actuator {name}: gain and limits must be positive"
    if actuator.continuous_torque is not None and actuator.continuous_torque <= 0:
        yield f"actuator {name}: continuous_torque must be positive"


def _power_problems(data: HandDescription, power: Power) -> Iterator[str]:
    currents = power.supply_current, *power.servo_current.values()
    if not all(0 < current < float("inf") for current in currents):
        yield "[power]: currents must be positive"
    known = {a.name for a in data.actuators}
    known |= {a.servo.model for a in data.actuators if a.servo is not None}
    for name in sorted(power.servo_current.keys() - known):
        yield f"[power] servo_current: {name} is neither an actuator nor a servo model here"


def joint_map(actuator: Actuator) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Ratios and offsets [rad] of an actuator's joints."""
    n = len(actuator.joints)
    return actuator.ratios or (1.0,) * n, actuator.offsets or (0.0,) * n
