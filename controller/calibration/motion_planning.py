"""Plans a test motion of one joint that touches no other finger."""

from dataclasses import dataclass

import numpy as np

from inhand.controller.calibration.clearance import clearance
from inhand.controller.errors import CalibrationError
from inhand.controller.safety.safety import Limits
from inhand.hardware.model.hand import Hand
from inhand.hardware.records import Array

LARGEST = 0.3
"""Largest amplitude [rad]."""
SWING, WIDE_SWING = 1.4, 2.0
"""Free range to either side, in amplitudes: at least, and where the joint has room. A joint that
overshoots must not hit its stop; a joint with little damping overshoots by a whole amplitude."""
GRAVITY_ALLOWANCE = 0.05
"""Additional free range for gravity, which pulls a joint below its target [rad]."""
LARGEST_OF_SEVERAL_FINGERS = 0.1
"""Largest amplitude of a joint that moves several fingers: they must not touch [rad]."""
SMALLEST = 0.1
"""Smallest amplitude that gives a useful measurement [rad]."""
TORQUE_SHARE = 0.3
"""Largest static torque, as a share of the torque limit, with the hand file's gain."""
GAP = 0.002
"""Smallest gap between fingers [m]."""
AVOIDANCE_ANGLE = 0.3
"""How far another joint is moved aside [rad]."""
MOST_AVOIDING_JOINTS = 4
"""Largest number of joints that are moved aside for one."""


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
    """The motion of one actuator: near the rest pose, inside its limits, at moderate torque.

    Joints of other fingers are moved aside where the motion would touch them.

    Raises:
        CalibrationError: no motion is possible without touching another finger.
    """
    limits = Limits.of(hand)
    low, high = float(limits.lower[actuator]), float(limits.upper[actuator])
    gentle = TORQUE_SHARE * float(hand.torque_limit[actuator] / hand.gain[actuator])
    amplitude = min(largest, gentle, (high - low) / 2 / SWING)
    if _fingers(hand, actuator) > 1:
        amplitude = min(amplitude, LARGEST_OF_SEVERAL_FINGERS)
    least = min(SMALLEST, amplitude)
    while amplitude >= least:
        pose = np.clip(hand.rest, limits.lower, limits.upper)
        room = min(WIDE_SWING * amplitude + GRAVITY_ALLOWANCE, (high - low) / 2)
        pose[actuator] = np.clip(pose[actuator], low + room, high - room)
        excursion = _avoiding_pose(hand, limits, Excursion(actuator, pose, amplitude))
        if _gap(hand, [excursion])[0] > GAP:
            return excursion
        amplitude *= 0.8
    raise CalibrationError(
        f"joint {hand.actuator_names[actuator]} cannot move by {least:.2f} rad around the rest "
        "pose without touching another finger; another rest pose in the hand file gives it room"
    )


def _avoiding_pose(hand: Hand, limits: Limits, excursion: Excursion) -> Excursion:
    """Greedily moves aside the joint that widens the gap most, until the gap is wide enough."""
    gap = _gap(hand, [excursion])[0]
    for _ in range(MOST_AVOIDING_JOINTS):
        if gap > GAP:
            break
        others = []
        for other in set(range(hand.n_actuators)) - {excursion.actuator}:
            for way in (-AVOIDANCE_ANGLE, AVOIDANCE_ANGLE):
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
    """Number of collision groups that an actuator moves."""
    carried = hand.moved_by[:, hand.driven_joint[actuator]]
    moved = {name for name, one in zip(hand.link_names, carried, strict=True) if one}
    return sum(not moved.isdisjoint(names) for names in hand.collision_groups.values())


def _gap(hand: Hand, excursions: list[Excursion]) -> Array:
    """The smallest gap between fingers in each motion [m]."""
    poses = np.array([one.at(share) for one in excursions for share in np.linspace(-1, 1, 9)])
    smallest: Array = clearance(hand, poses).reshape(len(excursions), -1).min(axis=1)
    return smallest
