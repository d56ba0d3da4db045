"""The clock that a serial line is waited on with: real time, unless another is given."""

import select
import time
from typing import Protocol


class LineClock(Protocol):
    """A source of time on which a line can be waited for."""

    def now(self) -> float:
        """The present [s]; never goes backwards."""
        ...

    def wait_readable(self, file: int, deadline: float) -> bool:
        """Whether a file becomes readable by a time [s]."""
        ...

    def note_sent(self, size: int) -> None:
        """Takes note of so many bytes that were sent."""
        ...


class RealLineClock:
    """CLOCK_MONOTONIC."""

    def now(self) -> float:
        return time.monotonic()

    def wait_readable(self, file: int, deadline: float) -> bool:
        patience = max(0.0, deadline - time.monotonic())
        return bool(select.select((file,), (), (), patience)[0])

    def note_sent(self, size: int) -> None:
        """Nothing is to be done: real time waits for nobody."""
