"""Clocks: the same code runs in real, simulated and test time."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from inhand.hardware.dynamixel.line_clock import LineClock, RealLineClock

SUSPENDED = 0.5
"""The machine was suspended if its two clocks have moved apart by more than this [s]."""


class Clock(Protocol):
    """A source of time [s] with a method to wait."""

    def now(self) -> float:
        """The present [s]; never goes backwards."""
        ...

    def sleep_until(self, deadline: float) -> None:
        """Returns at `deadline` [s] or as soon after it as possible."""
        ...


class ProcessClock(Clock, LineClock, Protocol):
    """The clock of a process with a serial line; `perception.simulated_time` has another one."""

    def aside(self) -> AbstractContextManager[None]:
        """To be called for another thread, which sleeps within what is returned."""
        ...


class MonotonicClock(RealLineClock):
    """CLOCK_MONOTONIC; sleeps, then spins for the last stretch.

    Attributes:
        spin: how long before a deadline to stop sleeping and spin [s]; 0 only sleeps.
    """

    def __init__(self, spin: float = 0.0) -> None:
        self.spin = spin

    def aside(self) -> AbstractContextManager[None]:
        return nullcontext()

    def sleep_until(self, deadline: float) -> None:
        pause = deadline - self.spin - time.monotonic()
        if pause > 0:
            # CPython's sleep is clock_nanosleep to an absolute deadline, so no drift comes of it.
            time.sleep(pause)
        while time.monotonic() < deadline:
            pass


class SuspendWatch:
    """Notices that the machine was suspended: CLOCK_MONOTONIC stands still then.

    Args:
        boot_time: returns the time since the start, suspension included [s].
        monotonic: returns it without suspension [s].
    """

    def __init__(
        self,
        boot_time: Callable[[], float] = lambda: time.clock_gettime(time.CLOCK_BOOTTIME),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._boot_time, self._monotonic = boot_time, monotonic
        self._offset = boot_time() - monotonic()

    def suspended(self) -> float:
        """For how long the machine was suspended since the last call [s]; 0 if it was not."""
        offset = self._boot_time() - self._monotonic()
        asleep, self._offset = offset - self._offset, offset
        # The two clocks are read one after the other, and a thread may be interrupted between.
        return asleep if asleep > SUSPENDED else 0.0


class VirtualClock:
    """Time that only moves when told to: sleeping is instantaneous."""

    def __init__(self, start: float = 0.0) -> None:
        self._now = start

    def now(self) -> float:
        return self._now

    def sleep_until(self, deadline: float) -> None:
        self._now = max(self._now, deadline)

    def advance(self, seconds: float) -> None:
        """Moves time forward [s], as work would."""
        if seconds < 0:
            raise ValueError(f"time cannot go back by {-seconds} s")
        self._now += seconds
