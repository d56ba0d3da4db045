"""Where one joint may move to show what it is like, out of the other fingers' way."""

from dataclasses import dataclass

import numpy as np

from inhand.controller.calibration.clearance import clearance
from inhand.controller.errors import CalibrationError
from inhand.controller.safety.safety import Limits
from inhand.hardware.model.hand import Hand
from inhand.hardware.records import Array

LARGEST = 0.3
"""Amplitude at most [rad]."""
SWING, WIDE_SWING = 1.4, 2.0
"""Amplitudes that are left free to either side, at least and where the joint has the room: one that
swings over must not hit its stop, and one that is hardly damped swings over by another amplitude.
"""
SAG = 0.05
"""That a joint may hang below its target, and is left free besides where there is room [rad]."""
SHAKEN = 0.1
"""Amplitude at most of a joint that shakes several fingers, which must not touch [rad]."""
SMALLEST = 0.1
"""Amplitude that still tells something [rad]."""
TORQUE_SHARE = 0.3
"""Of the torque limit that an amplitude may take, by the hand file's gain."""
GAP = 0.002
"""Between fingers, that is left free [m]."""
ASIDE = 0.3
"""By which another joint may be moved out of the way [rad]."""
MOST_ASIDE = 4
"""Joints that are moved out of the way for one."""


@dataclass(frozen=True, eq=False)
class Excursion:
    """A joint's motion.

    Attributes:
        actuator: index.
        pose: of all actuators in the middle of the motion [rad], (n_actuators,).
        amplitude: to either side [rad].
    """

    actuator: int
    pose: Array
    amplitude: float

    def at(self, share: float) -> Array:
        """The pose at a share of the amplitude [rad], (n_actuators,)."""
        pose = np.array(self.pose)
        pose[self.actuator] += share * self.amplitude
        return pose


def plan(hand: Hand, actuator: int, largest: float = LARGEST) -> Excursion:
    """The motion of one actuator: near the rest pose, inside its limits, gentle to its servo.

    Joints of other fingers are moved aside where the motion would touch them.

    Raises:
        CalibrationError: fingers are too near each other for any.
    """
    limits = Limits.of(hand)
    low, high = float(limits.lower[actuator]), float(limits.upper[actuator])
    gentle = TORQUE_SHARE * float(hand.torque_limit[actuator] / hand.gain[actuator])
    amplitude = min(largest, gentle, (high - low) / 2 / SWING)
    if _fingers(hand, actuator) > 1:
        amplitude = min(amplitude, SHAKEN)
    least = min(SMALLEST, amplitude)
    while amplitude >= least:
        pose = np.clip(hand.rest, limits.lower, limits.upper)
        room = min(WIDE_SWING * amplitude + SAG, (high - low) / 2)
        pose[actuator] = np.clip(pose[actuator], low + room, high - room)
        excursion = _out_of_the_way(hand, limits, Excursion(actuator, pose, amplitude))
        if _gap(hand, [excursion])[0] > GAP:
            return excursion
        amplitude *= 0.8
    raise CalibrationError(
        f"joint {hand.actuator_names[actuator]} cannot move by {least:.2f} rad around the rest "
        "pose without touching another finger; another rest pose in the hand file gives it room"
    )


def _out_of_the_way(hand: Hand, limits: Limits, excursion: Excursion) -> Excursion:
    """Moves the joint aside that makes most room, and another, until there is enough."""
    gap = _gap(hand, [excursion])[0]
    for _ in range(MOST_ASIDE):
        if gap > GAP:
            break
        others = []
        for other in set(range(hand.n_actuators)) - {excursion.actuator}:
            for way in (-ASIDE, ASIDE):
                pose = np.array(excursion.pose)
                aside = hand.rest[other] + way
                pose[other] = np.clip(aside, limits.lower[other], limits.upper[other])
                others.append(Excursion(excursion.actuator, pose, excursion.amplitude))
        gaps = _gap(hand, others)
        best = int(gaps.argmax())
        if gaps[best] <= gap:
            break
        excursion, gap = others[best], gaps[best]
    return excursion


def _fingers(hand: Hand, actuator: int) -> int:
    """How many collision groups an actuator moves."""
    carried = hand.moved_by[:, hand.driven_joint[actuator]]
    moved = {name for name, one in zip(hand.link_names, carried, strict=True) if one}
    return sum(not moved.isdisjoint(names) for names in hand.collision_groups.values())


def _gap(hand: Hand, excursions: list[Excursion]) -> Array:
    """The smallest gap between fingers in each motion [m]."""
    poses = np.array([one.at(share) for one in excursions for share in np.linspace(-1, 1, 9)])
    smallest: Array = clearance(hand, poses).reshape(len(excursions), -1).min(axis=1)
    return smallest
