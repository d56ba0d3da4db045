"""Offsets of servo positions by whole turns: chosen from the joints' ranges, kept in software.

In current-based position mode a servo counts whole turns, and loses the count when its power goes
off: it may read the same angle with any number of whole turns added (Robotis e-manual, Present
Position and Clear).
"""

import numpy as np
from numpy.typing import NDArray

from inhand.hardware.dynamixel import registers
from inhand.hardware.dynamixel.registers import Units
from inhand.hardware.errors import BusError
from inhand.hardware.model.hand import Hand
from inhand.hardware.records import Array

Counts = NDArray[np.int64]

MARGIN = 0.5
"""Largest distance of a joint from its range at which torque may go on [rad].

With a hardware error, positions further out are not used.
"""


class Turns:
    """Offset of each servo's position by whole turns.

    Args:
        hand: the ranges of the joints.
        units: of its servos.
        anywhere: whether to accept joints outside their ranges, as calibration of zeros needs it;
            positions are then within one turn of the servo.

    Attributes:
        counts: offset to subtract from the position register [counts], (n_actuators,).
        angle: the same offset as an angle [rad], (n_actuators,).
    """

    def __init__(self, hand: Hand, units: Units, *, anywhere: bool = False) -> None:
        n = hand.n_actuators
        self.counts: Counts = np.zeros(n, np.int64)
        self.angle: Array = np.zeros(n)
        self._hand, self._units, self._anywhere = hand, units, anywhere
        self._middle = units.position_counts((hand.lower + hand.upper) / 2)

    def settle(self, positions: Counts, which: NDArray[np.bool_] | None = None) -> None:
        """Chooses the offset that puts each joint nearest to the middle of its range.

        Args:
            positions: register values [counts], (n_actuators,).
            which: servos that were read, (n_actuators,); the others keep theirs. None for all.
        """
        if self._anywhere:
            turns = positions // registers.COUNTS
        else:
            turns = np.rint((positions - self._middle) / registers.COUNTS).astype(np.int64)
        counts = turns * registers.COUNTS
        self.counts = counts if which is None else np.where(which, counts, self.counts)
        self.angle = self._units.angle_of(self.counts)

    def angles(self, positions: Counts) -> Array:
        """Joint angles of register positions [rad], (n_actuators,)."""
        return self._units.angles(positions - self.counts)

    def far(self, angles: Array) -> NDArray[np.bool_]:
        """Joints more than `MARGIN` outside their range at these angles [rad], (n_actuators,)."""
        hand = self._hand
        far: NDArray[np.bool_] = (angles < hand.lower - MARGIN) | (angles > hand.upper + MARGIN)
        return far

    def require_plausible(self, positions: Counts) -> None:
        """Raises BusError if a joint is far outside its range at these register positions."""
        if problem := self.problem(self.angles(positions)):
            raise BusError(problem)

    def problem(self, angles: Array) -> str:
        """Message with the joints far outside their range, and the remedy; empty if there is none.

        Args:
            angles: joint angles [rad], (n_actuators,).
        """
        if self._anywhere:
            return ""
        hand = self._hand
        return "; ".join(
            f"joint {hand.actuator_names[i]} (servo {hand.actuators[i].on_bus.id}) stands at "
            f"{angles[i]:+.2f} rad, more than {MARGIN} rad outside its range, "
            f"{hand.lower[i]:.2f} to {hand.upper[i]:.2f}: move it there by hand, without torque; "
            "if it is in its range, `inhand calibrate joints` finds its zero"
            for i in np.flatnonzero(self.far(angles)).tolist()
        )
