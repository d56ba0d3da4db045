"""Time source and waiting for a serial line: real time by default."""

import select
import time
from typing import Protocol


class LineClock(Protocol):
    """A time source that can wait for a line to become readable."""

    def now(self) -> float:
        """The present [s]; never goes backwards."""
        ...

    def wait_readable(self, file: int, deadline: float) -> bool:
        """Waits until a file is readable, at most until `deadline` [s]; returns whether it is."""
        ...

    def note_sent(self, size: int) -> None:
        """Records that `size` bytes were sent."""
        ...


class RealLineClock:
    """CLOCK_MONOTONIC."""

    def now(self) -> float:
        return time.monotonic()

    def wait_readable(self, file: int, deadline: float) -> bool:
        patience = max(0.0, deadline - time.monotonic())
        return bool(select.select((file,), (), (), patience)[0])

    def note_sent(self, size: int) -> None:
        """Does nothing: only simulated time depends on the bytes sent."""
