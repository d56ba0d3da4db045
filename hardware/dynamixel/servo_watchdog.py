"""The servos' own watchdogs: they stop by themselves when their owner says nothing any more."""

from collections.abc import Iterable
from math import ceil

from inhand.hardware.dynamixel import registers
from inhand.hardware.dynamixel.group import ServoGroup
from inhand.hardware.errors import BusError

CHECK_EVERY = 1.0
"""Time between two looks at whether all servos still have theirs [s]: a rebooted one has not."""


class ServoWatchdog:
    """Arms the watchdogs, and finds out which servos have stopped or started anew.

    Args:
        group: the servos.
        silence: after which they stop [s], in steps of 20 ms; 0 for never.
    """

    def __init__(self, group: ServoGroup, silence: float) -> None:
        self._group = group
        self._steps = min(ceil(silence / registers.WATCHDOG_UNIT - 1e-6), 127)
        self._armed, self._stopped = False, ""
        self._doubted: set[int] = set()
        self._look_again = 0.0

    def arm(self) -> None:
        """Arms those of all servos.

        Raises:
            BusError: a servo has none.
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
        """Ends them, tripped or not."""
        self.forget()
        self._group.write_all(registers.BUS_WATCHDOG, [0] * len(self._group.ids))

    def forget(self) -> None:
        """Takes none for armed."""
        self._armed, self._stopped = False, ""
        self._doubted.clear()

    def check(self, present: tuple[int, ...], deadline: float | None = None) -> None:
        """Finds out, after a silence and once in a while, whether servos pull no more.

        Args:
            present: servos that answer.
            deadline: when to give up at the latest [s].

        Raises:
            BusError: they do not.
        """
        now = self._group.bus.clock.now()
        # The servos' clock runs from the end of the packet, and a little differently.
        longest = 0.8 * self._steps * registers.WATCHDOG_UNIT
        silence = now - self._group.bus.last_sent
        if self._armed and (silence > longest or now > self._look_again):
            self._doubted |= set(present)
            self._look_again = now + CHECK_EVERY
            self._look(present, deadline)
        self._refuse_if_stopped()

    def check_doubted(self, present: tuple[int, ...], deadline: float | None = None) -> None:
        """The same of those that were silent, now that they answer again: see `doubt`."""
        if self._armed and self._doubted:
            self._look(tuple(id for id in present if id in self._doubted), deadline)
        self._refuse_if_stopped()

    def doubt(self, ids: Iterable[int]) -> None:
        """Has servos looked at once they answer again: what is silent may start anew."""
        if self._armed:
            self._doubted.update(ids)

    def _look(self, ids: tuple[int, ...], deadline: float | None) -> None:
        """Finds out why servos have stopped, if they have."""
        group, register = self._group, registers.BUS_WATCHDOG
        replies = group.ask(ids, register, 2, deadline)
        # A servo with a hardware error answers all the same; what it measures tells of the error.
        group.refuse_refused(replies, register.address)
        found = replies.numbers(register)
        self._doubted -= found.keys()
        # A servo that starts anew forgets its watchdog, and its torque.
        if rebooted := [id for id, steps in found.items() if steps == 0]:
            self._stopped = f"servo {group.names(rebooted)} has started anew, without torque"
        elif any(steps != self._steps for steps in found.values()):
            self._stopped = (
                "the servos have stopped by themselves, as nothing was said to them in time"
            )
        self._armed = not self._stopped

    def _refuse_if_stopped(self) -> None:
        if self._stopped:
            raise BusError(f"{self._stopped}; switch torque off and on")
