"""Zero, sign and range of each servo, from its encoder's values at the joint's two end stops.

The hand file describes a design, and policies are bound to it. The joint file describes how one
copy was assembled; its values replace those of the hand file before the hand is connected.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import pi
from pathlib import Path
from typing import Literal

import msgspec
import tomli_w

from inhand.descriptions import DescriptionKind
from inhand.hardware.errors import DescriptionError
from inhand.hardware.model.hand import Hand
from inhand.hardware.model.turn_limits import turn_problem

SHORTEST = 0.5
"""Least share of the hand file's range through which a joint must be moved."""
TURN = pi
"""Encoders count from -TURN to TURN around their centre and jump at these ends [rad]."""

JOINT_FILES = DescriptionKind("joint", DescriptionError)


class SeatedServo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A servo on its joint: `zero` [rad] and `sign` as in a hand file, measured `range` [rad]."""

    sign: Literal[-1, 1]
    zero: float
    range: tuple[float, float]


class _SeatingFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    hand: str
    schema: Literal[1]
    servos: dict[str, SeatedServo]


@dataclass(frozen=True)
class Ends:
    """Encoder angles at the joint's end stops, from the servo's centre [rad]."""

    lower: float
    upper: float


def seat(hand: Hand, at: int, ends: Ends) -> SeatedServo:
    """Zero and sign of a servo: the middle of the measured range is that of the hand file's range.

    Args:
        hand: with the range of the joint.
        at: index of the actuator.
        ends: encoder angles at the end stops.

    Raises:
        DescriptionError: the measured range is too small or too large, or the encoder jumps in it.
    """
    name, span = hand.actuator_names[at], abs(ends.upper - ends.lower)
    low, high = float(hand.lower[at]), float(hand.upper[at])
    if max(abs(ends.lower), abs(ends.upper)) >= TURN:
        raise DescriptionError(
            f"joint {name}: the encoder jumps within the joint's range after a restart; mount the "
            "horn so that the joint's middle is the servo's centre"
        )
    if not SHORTEST * (high - low) < span < (high - low) / SHORTEST:
        raise DescriptionError(
            f"joint {name} was moved through {span:.2f} rad, and its range in the hand file is "
            f"{high - low:.2f}: was it moved to both its ends?"
        )
    sign: Literal[-1, 1] = 1 if ends.upper > ends.lower else -1
    zero = (low + high) / 2 - sign * (ends.lower + ends.upper) / 2
    return SeatedServo(sign, zero, (zero + sign * ends.lower, zero + sign * ends.upper))


def seating_text(hand: Hand, servos: Mapping[str, SeatedServo]) -> str:
    """Text of the joint file; servos by the names of their actuators."""
    rows = {
        name: {
            "sign": servo.sign,
            "zero": round(float(servo.zero), 5),
            "range": [round(float(end), 5) for end in servo.range],
        }
        for name, servo in servos.items()
    }
    return (
        "# How the servos of one hand sit on its joints, by `inhand calibrate joints`.\n"
        "# joint angle = zero + sign * angle of the encoder from its centre [rad].\n"
    ) + tomli_w.dumps({"hand": hand.name, "schema": 1, "servos": rows})


def load_seating(path: Path, hand: Hand) -> dict[str, SeatedServo]:
    """Reads a joint file.

    Raises:
        DescriptionError: the file is missing, malformed, or of another hand.
    """
    file = JOINT_FILES.convert(JOINT_FILES.read(path), path, _SeatingFile)
    if file.hand != hand.name:
        raise DescriptionError(f"joint file {path} is of hand {file.hand}, not of {hand.name}")
    unknown = sorted(file.servos.keys() - set(hand.actuator_names))
    if unknown:
        raise DescriptionError(f"joint file {path}: hand {hand.name} has no {', '.join(unknown)}")
    return file.servos


def seated(hand: Hand, servos: Mapping[str, SeatedServo]) -> Hand:
    """The hand with the values of a joint file; ranges only become narrower.

    Raises:
        DescriptionError: the rest pose or `action_zero` of a joint lies outside its range.
    """
    actuators, ranges = [], dict[str, tuple[float, float]]()
    for actuator in hand.actuators:
        found = servos.get(actuator.name)
        if found is None:
            actuators.append(actuator)
            continue
        low, high = hand.links[hand.joint_names.index(actuator.joints[0])].range
        low, high = max(low, found.range[0]), min(high, found.range[1])
        zero = actuator.rest if actuator.action_zero is None else actuator.action_zero
        for name, value in (("rest pose", actuator.rest), ("action_zero", zero)):
            if not low <= value <= high:
                raise DescriptionError(
                    f"joint {actuator.name}: the {name} {value:.2f} rad lies outside the "
                    f"range {low:.2f} to {high:.2f}; calibrate it again, or correct the hand file"
                )
        servo = msgspec.structs.replace(actuator.on_bus, sign=found.sign, zero=found.zero)
        if problem := turn_problem(actuator.name, servo.zero, low, high):
            raise DescriptionError(problem)
        ranges |= dict.fromkeys(actuator.joints, (low, high))
        actuators.append(msgspec.structs.replace(actuator, servo=servo))
    links = tuple(
        msgspec.structs.replace(link, range=ranges.get(link.joint, link.range))
        for link in hand.links
    )
    return replace(hand, actuators=tuple(actuators), links=links)
