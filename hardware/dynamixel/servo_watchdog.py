"""Bus watchdogs in the servos: a servo stops if no packet comes within the timeout."""

from collections.abc import Iterable
from math import ceil

from inhand.hardware.dynamixel import registers
from inhand.hardware.dynamixel.group import ServoGroup
from inhand.hardware.errors import BusError

CHECK_EVERY = 1.0
"""Interval of checks that the watchdogs are still armed [s]: a reboot switches them off."""


class ServoWatchdog:
    """Arms the watchdogs, and detects servos that have stopped or restarted.

    Args:
        group: the servos.
        silence: timeout of the watchdogs [s], in steps of 20 ms; 0 switches them off.
    """

    def __init__(self, group: ServoGroup, silence: float) -> None:
        self._group = group
        self._steps = min(ceil(silence / registers.WATCHDOG_UNIT - 1e-6), 127)
        self._armed, self._stopped = False, ""
        self._doubted: set[int] = set()
        self._look_again = 0.0

    def arm(self) -> None:
        """Arms the watchdogs of all servos.

        Raises:
            BusError: a servo did not arm its watchdog.
        """
        if not self._steps:
            return
        group = self._group
        group.write_all(registers.BUS_WATCHDOG, [self._steps] * len(group.ids))
        if wrong := group.other_than(registers.BUS_WATCHDOG, self._steps):
            raise BusError(
                f"servo {group.names(wrong)} did not arm its bus watchdog; is its firmware older "
                "than 38?"
            )
        self._armed, self._look_again = True, self._group.bus.clock.now() + CHECK_EVERY

    def end(self) -> None:
        """Switches the watchdogs off, also if they have tripped."""
        self.forget()
        self._group.write_all(registers.BUS_WATCHDOG, [0] * len(self._group.ids))

    def forget(self) -> None:
        """Assumes that no watchdog is armed; nothing is sent."""
        self._armed, self._stopped = False, ""
        self._doubted.clear()

    def check(self, present: tuple[int, ...], deadline: float | None = None) -> None:
        """Checks for tripped watchdogs and restarted servos.

        The servos are read only after a pause in the communication, and every `CHECK_EVERY`.

        Args:
            present: servos that answer.
            deadline: latest time to stop waiting [s].

        Raises:
            BusError: a servo has stopped or restarted.
        """
        now = self._group.bus.clock.now()
        # A servo measures the time from the end of the packet, with its own clock.
        longest = 0.8 * self._steps * registers.WATCHDOG_UNIT
        silence = now - self._group.bus.last_sent
        if self._armed and (silence > longest or now > self._look_again):
            self._doubted |= set(present)
            self._look_again = now + CHECK_EVERY
            self._look(present, deadline)
        self._refuse_if_stopped()

    def check_doubted(self, present: tuple[int, ...], deadline: float | None = None) -> None:
        """Checks the servos that were silent and now answer again; see `doubt`."""
        if self._armed and self._doubted:
            self._look(tuple(id for id in present if id in self._doubted), deadline)
        self._refuse_if_stopped()

    def doubt(self, ids: Iterable[int]) -> None:
        """Marks silent servos for a check when they answer again: they may have restarted."""
        if self._armed:
            self._doubted.update(ids)

    def _look(self, ids: tuple[int, ...], deadline: float | None) -> None:
        """Reads the watchdogs of servos; records why they have stopped, if they have."""
        group, register = self._group, registers.BUS_WATCHDOG
        replies = group.ask(ids, register, 2, deadline)
        # Hardware errors are reported by the read of the measurements.
        group.require_accepted(replies, register.address)
        found = replies.numbers(register)
        self._doubted -= found.keys()
        # A restart clears the watchdog and the torque of a servo.
        if rebooted := [id for id, steps in found.items() if steps == 0]:
            self._stopped = f"servo {group.names(rebooted)} has restarted and lost its torque"
        elif any(steps != self._steps for steps in found.values()):
            self._stopped = "the servos have stopped: their bus watchdog received no packet in time"
        self._armed = not self._stopped

    def _refuse_if_stopped(self) -> None:
        if self._stopped:
            raise BusError(f"{self._stopped}; switch torque off and on")
