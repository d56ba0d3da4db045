"""Goal positions of all servos: first the present positions, then targets within joint limits."""

import numpy as np

from inhand.hardware.dynamixel import registers
from inhand.hardware.dynamixel.group import ServoGroup
from inhand.hardware.dynamixel.requests import SyncWrite
from inhand.hardware.dynamixel.turns import Counts, Turns
from inhand.hardware.errors import BusError
from inhand.hardware.records import Array, Targets

RETURN_SPEED = 0.3
"""Speed at which a servo that got its torque back returns to its target [rad/s]."""
_LONGEST_STEP = 0.1
"""Longest time between two targets that counts for this return [s]."""


class Commanding:
    """Writes goal positions, clamped to the joint limits.

    A joint outside its range when torque goes on gets wider limits, which include its position.
    They shrink as its targets move back to the range, so that it is never sent further out again.
    A servo that gets its torque back while the others keep theirs returns slowly to its target.

    Args:
        group: the servos.
        turns: offsets by whole turns of the servos.
    """

    def __init__(self, group: ServoGroup, turns: Turns) -> None:
        self._group, self._turns, self._hand = group, turns, group.hand
        self._write = SyncWrite(registers.GOAL_POSITION, group.ids)
        self._lower, self._upper = group.hand.lower, group.hand.upper
        self._outside = self._returning = False
        self._behind: Array = np.zeros(len(group.ids))
        self._last_sent: Targets | None = None

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
        self._behind[:], self._last_sent, self._returning = 0.0, None, False
        angles, hand = self._turns.angles(positions), self._hand
        self._lower, self._upper = np.minimum(hand.lower, angles), np.maximum(hand.upper, angles)
        self._outside = bool((self._lower < hand.lower).any() or (self._upper > hand.upper).any())

    def pin_one(self, at: int, position: int) -> None:
        """Sets the goal of one servo to its present position; it returns from there slowly.

        Args:
            at: index of the servo.
            position: register value of its present position [counts].

        Raises:
            BusError: the goal register did not change.
        """
        group, register = self._group, registers.GOAL_POSITION
        id = group.ids[at]
        rows = {id: register.pack(position)}
        group.bus.sync_write(register.address, register.size, rows)
        replies = group.ask((id,), register, 2)
        group.require(replies, register.address)
        if replies.numbers(register)[id] != position:
            raise BusError(f"servo {group.names([id])} did not take its present position as goal")
        positions = np.full(len(group.ids), position)
        angle = float(self._turns.angles(positions)[at])
        self._lower, self._upper = self._lower.copy(), self._upper.copy()
        self._lower[at] = min(self._hand.lower[at], angle)
        self._upper[at] = max(self._hand.upper[at], angle)
        self._outside = True
        if self._last_sent is not None:
            self._behind[at] = angle - self._last_sent.position[at]
            self._returning = True

    def send(self, targets: Targets) -> Targets:
        """Commands all servos; returns the targets as sent: clamped, and rounded to counts."""
        wanted = targets.position
        if self._returning:
            wanted = wanted + self._catch_up(targets.t)
        inside = np.minimum(np.maximum(wanted, self._lower), self._upper)
        if self._outside:
            self._shrink(inside)
        units = self._group.units
        counts = units.position_counts(inside)
        self._group.bus.tell(self._write.packet(counts + self._turns.counts))
        sent = units.angles(counts)
        sent.setflags(write=False)
        self._last_sent = Targets(targets.t, sent)
        return self._last_sent

    def _catch_up(self, t: float) -> Array:
        """Distance of the sent targets from the wanted ones at `t` [rad], (n_actuators,)."""
        last = t if self._last_sent is None else self._last_sent.t
        step = RETURN_SPEED * min(max(t - last, 0.0), _LONGEST_STEP)
        self._behind = np.sign(self._behind) * np.maximum(np.abs(self._behind) - step, 0.0)
        self._returning = bool(self._behind.any())
        return self._behind

    def _shrink(self, inside: Array) -> None:
        hand = self._hand
        self._lower = np.minimum(hand.lower, np.maximum(self._lower, inside))
        self._upper = np.maximum(hand.upper, np.minimum(self._upper, inside))
        self._outside = bool((self._lower < hand.lower).any() or (self._upper > hand.upper).any())
