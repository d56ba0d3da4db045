"""Which whole turn a servo counts in: chosen from where its joint can be, kept in software.

In current-based position mode a servo counts whole turns on, and forgets them when its power goes:
the same angle may be read any number of turns away (Robotis e-manual, Present Position and Clear).
"""

import numpy as np
from numpy.typing import NDArray

from inhand.hardware.dynamixel import registers
from inhand.hardware.dynamixel.registers import Units
from inhand.hardware.model.hand import Hand
from inhand.hardware.records import Array

Counts = NDArray[np.int64]

MARGIN = 0.5
"""So far beyond its range a joint may stand when it gets torque [rad]; as far as readings count."""


class Turns:
    """Turns between what each servo counts and where its joint is.

    Args:
        hand: the ranges of the joints.
        units: of its servos.
        anywhere: whether joints may stand anywhere, as their zeros are being looked for; positions
            are then within the servo's own turn.

    Attributes:
        counts: to take away from a register's position, (n_actuators,).
        angle: the same as an angle [rad], (n_actuators,).
    """

    def __init__(self, hand: Hand, units: Units, *, anywhere: bool = False) -> None:
        n = hand.n_actuators
        self.counts: Counts = np.zeros(n, np.int64)
        self.angle: Array = np.zeros(n)
        self._hand, self._units, self._anywhere = hand, units, anywhere
        self._middle = units.position_counts((hand.lower + hand.upper) / 2)

    def settle(self, positions: Counts, which: NDArray[np.bool_] | None = None) -> None:
        """Chooses the turn that puts each joint nearest to the middle of its range.

        Args:
            positions: as the registers have them, (n_actuators,).
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
        """Joints that can stand at these angles [rad] in no turn, (n_actuators,)."""
        hand = self._hand
        far: NDArray[np.bool_] = (angles < hand.lower - MARGIN) | (angles > hand.upper + MARGIN)
        return far

    def problem(self, angles: Array) -> str:
        """Which joints stand where they cannot, and what to do; empty if none does."""
        if self._anywhere:
            return ""
        hand = self._hand
        return "; ".join(
            f"joint {hand.actuator_names[i]} (servo {hand.actuators[i].servo.id}) stands at "
            f"{angles[i]:+.2f} rad, more than {MARGIN} rad outside its range, "
            f"{hand.lower[i]:.2f} to {hand.upper[i]:.2f}: move it there by hand, without torque; "
            "if it is there, `inhand calibrate joints` finds its zero"
            for i in np.flatnonzero(self.far(angles)).tolist()
        )
