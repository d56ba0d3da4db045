"""Bus watchdogs in the servos: a servo stops if no packet comes within the timeout.

The register of the watchdog also tells of a restart, which clears it. Without watchdogs, the
register of torque does.
"""

from collections.abc import Iterable
from math import ceil, inf

from inhand.hardware.dynamixel import registers
from inhand.hardware.dynamixel.group import ServoGroup
from inhand.hardware.dynamixel.protocol import ALERT
from inhand.hardware.errors import BusError

CHECK_EVERY = 1.0
"""Interval of checks for servos that have stopped or restarted [s]."""


class ServoWatchdog:
    """Arms the watchdogs, and detects servos that have stopped or restarted.

    Args:
        group: the servos.
        silence: timeout of the watchdogs [s], in steps of 20 ms; 0 switches them off.

    Attributes:
        restarted: servos that have restarted since torque went on, and have no torque.
    """

    def __init__(self, group: ServoGroup, silence: float) -> None:
        self._group = group
        self._steps = min(ceil(silence / registers.WATCHDOG_UNIT - 1e-6), 127)
        watched = registers.BUS_WATCHDOG, self._steps
        self._register, self._usual = watched if self._steps else (registers.TORQUE_ENABLE, 1)
        self._armed, self._stopped = False, ""
        self._marked: set[int] = set()
        self.restarted: set[int] = set()
        self._look_again = 0.0

    def arm(self) -> None:
        """Arms the watchdogs of all servos, and begins to look for restarts.

        Raises:
            BusError: a servo did not arm its watchdog.
        """
        self._arm(self._group.ids)
        self._armed, self._look_again = True, self._group.bus.clock.now() + CHECK_EVERY

    def arm_again(self, id: int) -> None:
        """Arms the watchdog of a servo that has restarted and has torque again.

        Raises:
            BusError: it did not arm its watchdog.
        """
        self._arm((id,))
        self.restarted.discard(id)
        self._marked.discard(id)

    def end(self) -> None:
        """Switches the watchdogs off, also if they have tripped."""
        self.forget()
        self._group.write_all(registers.BUS_WATCHDOG, [0] * len(self._group.ids))

    def forget(self) -> None:
        """Assumes that no watchdog is armed; nothing is sent."""
        self._armed, self._stopped = False, ""
        self._marked.clear()
        self.restarted.clear()

    def check(self, present: tuple[int, ...], deadline: float | None = None) -> None:
        """Checks for tripped watchdogs and restarted servos.

        The servos are read only after a pause in the communication, and every `CHECK_EVERY`.

        Args:
            present: servos that answer.
            deadline: latest time to stop waiting [s].

        Raises:
            BusError: the servos have stopped.
        """
        now = self._group.bus.clock.now()
        # A servo measures the time from the end of the packet, with its own clock.
        longest = 0.8 * self._steps * registers.WATCHDOG_UNIT if self._steps else inf
        silence = now - self._group.bus.last_sent
        if self._armed and (silence > longest or now > self._look_again):
            self._marked |= set(present)
            self._look_again = now + CHECK_EVERY
            self._look(present, deadline)
        self._refuse_if_stopped()

    def check_marked(self, present: tuple[int, ...], deadline: float | None = None) -> None:
        """Checks the servos that were silent and now answer again; see `mark`."""
        if self._armed and self._marked:
            self._look(tuple(id for id in present if id in self._marked), deadline)
        self._refuse_if_stopped()

    def mark(self, ids: Iterable[int]) -> None:
        """Marks silent servos for a check when they answer again: they may have restarted."""
        if self._armed:
            self._marked.update(ids)

    def _arm(self, ids: tuple[int, ...]) -> None:
        if not self._steps:
            return
        group, register = self._group, registers.BUS_WATCHDOG
        rows = {id: register.pack(self._steps) for id in ids}
        group.bus.sync_write(register.address, register.size, rows)
        replies = group.ask(ids, register, 3)
        group.require(replies, register.address)
        found = replies.numbers(register)
        if wrong := [id for id in ids if found[id] != self._steps]:
            raise BusError(
                f"servo {group.names(wrong)} did not arm its bus watchdog; is its firmware older "
                "than 38?"
            )

    def _look(self, ids: tuple[int, ...], deadline: float | None) -> None:
        """Reads the watched register; records which servos have stopped or restarted."""
        group, register = self._group, self._register
        replies = group.ask(ids, register, 2, deadline)
        # Hardware errors are reported by the read of the measurements.
        group.require_accepted(replies, register.address)
        found = replies.numbers(register)
        self._marked -= found.keys()
        # A servo that has shut down has lost its torque without a restart.
        alarmed = set(replies.having(ALERT))
        self.restarted |= {id for id, value in found.items() if not value} - alarmed
        if any(value not in (0, self._usual) for value in found.values()):
            self._stopped = "the servos have stopped: their bus watchdog received no packet in time"
            self._armed = False

    def _refuse_if_stopped(self) -> None:
        if self._stopped:
            raise BusError(f"{self._stopped}; switch torque off and on")
