"""Goal positions of all servos: first the present positions, then targets within joint limits."""

import numpy as np

from inhand.hardware.dynamixel import registers
from inhand.hardware.dynamixel.group import ServoGroup
from inhand.hardware.dynamixel.requests import SyncWrite
from inhand.hardware.dynamixel.turns import Counts, Turns
from inhand.hardware.errors import BusError
from inhand.hardware.records import Array, Targets


class Commanding:
    """Writes goal positions, clamped to the joint limits.

    A joint outside its range when torque goes on gets wider limits, which include its position.
    They shrink as its targets move back to the range, so that it is never sent further out again.

    Args:
        group: the servos.
        turns: offsets by whole turns of the servos.
    """

    def __init__(self, group: ServoGroup, turns: Turns) -> None:
        self._group, self._turns, self._hand = group, turns, group.hand
        self._write = SyncWrite(registers.GOAL_POSITION, group.ids)
        self._lower, self._upper = group.hand.lower, group.hand.upper
        self._outside = False

    def pin(self, positions: Counts) -> None:
        """Sets every goal to the present position.

        Args:
            positions: register values of the present positions [counts], (n_actuators,).

        Raises:
            BusError: a goal register did not change.
        """
        group, register = self._group, registers.GOAL_POSITION
        group.bus.tell(self._write.packet(positions))
        wanted = dict(zip(group.ids, positions.tolist(), strict=True))
        if other := group.differing(register, wanted):
            raise BusError(
                f"servo {group.names(other)} did not take its present position as its goal; torque "
                "was not switched on"
            )
        angles, hand = self._turns.angles(positions), self._hand
        self._lower, self._upper = np.minimum(hand.lower, angles), np.maximum(hand.upper, angles)
        self._outside = bool((self._lower < hand.lower).any() or (self._upper > hand.upper).any())

    def send(self, targets: Targets) -> Targets:
        """Commands all servos; returns the targets as sent: clamped, and rounded to counts."""
        inside = np.minimum(np.maximum(targets.position, self._lower), self._upper)
        if self._outside:
            self._shrink(inside)
        units = self._group.units
        counts = units.position_counts(inside)
        self._group.bus.tell(self._write.packet(counts + self._turns.counts))
        sent = units.angles(counts)
        sent.setflags(write=False)
        return Targets(targets.t, sent)

    def _shrink(self, inside: Array) -> None:
        hand = self._hand
        self._lower = np.minimum(hand.lower, np.maximum(self._lower, inside))
        self._upper = np.maximum(hand.upper, np.minimum(self._upper, inside))
        self._outside = bool((self._lower < hand.lower).any() or (self._upper > hand.upper).any())
