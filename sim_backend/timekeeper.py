"""Who makes simulated time: asks everybody that takes part, and keeps to real time at most."""

import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from math import inf
from pathlib import Path

from inhand.perception.simulated_time import SLEEP, TimePage, socket_path

MOST_MADE_UP = 0.1
"""Further behind real time than this, simulated time has become slower, and stays behind [s]."""
_WINDOW = 2.0
"""Real time over which the speed is told [s]."""
_INSTANT = struct.Struct("<d")


class Timekeeper:
    """The programs that take part in simulated time, and what they wait for.

    Args:
        directory: of the run.
        seats: how many must have taken part before time begins.

    Attributes:
        now: the present [s].
        sent: bytes that were sent to servos by the time that all sleep.
    """

    def __init__(self, directory: Path, seats: int = 1) -> None:
        self.now, self.sent = 0.0, 0
        self._missing = seats
        self._page = TimePage(directory, create=True)
        self._door = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        socket_path(directory).unlink(missing_ok=True)
        self._door.bind(str(socket_path(directory)))
        self._door.listen()
        self._door.setblocking(False)
        self._waiting: dict[socket.socket, float | None] = {}
        self._factor = 1.0

    def files(self) -> list[socket.socket]:
        """What to listen to: see `hear`."""
        return [self._door, *self._waiting]

    def hear(self, readable: Iterable[object]) -> None:
        """Takes who comes, what they say, and who goes.

        Args:
            readable: which of `files` have something.
        """
        for line in list(self._waiting):
            if line in readable:
                self._listen(line)
        if self._door in readable:
            with suppress(OSError):
                line, _ = self._door.accept()
                line.setblocking(False)
                self._waiting[line] = None
                self._missing -= 1
                self._grant(line)

    def target(self) -> float | None:
        """Until when all of them sleep [s]; None while one does not, or is still to come."""
        if self._missing > 0 or not self._waiting:
            return None
        earliest = inf
        for until in self._waiting.values():
            if until is None:
                return None
            earliest = min(earliest, until)
        return earliest

    def tell(self, t: float, factor: float | None = None) -> None:
        """Says how late it is, on the way to the target [s]."""
        self._factor = self._factor if factor is None else factor
        self.now = max(self.now, t)
        self._page.set(self.now, self._factor)

    def wake(self) -> None:
        """Wakes everybody whose time has come."""
        for line, until in list(self._waiting.items()):
            if until is not None and until <= self.now:
                self._waiting[line] = None
                self._grant(line)

    def close(self) -> None:
        """Leaves everybody."""
        for line in self.files():
            line.close()

    def _listen(self, line: socket.socket) -> None:
        try:
            message = line.recv(SLEEP.size)
        except BlockingIOError:
            return
        except OSError:
            message = b""
        if len(message) != SLEEP.size:
            del self._waiting[line]
            line.close()
            return
        until, sent = SLEEP.unpack(message)
        self.sent = max(self.sent, sent)
        self._waiting[line] = until
        if until <= self.now:
            self._waiting[line] = None
            self._grant(line)

    def _grant(self, line: socket.socket) -> None:
        # Who is gone by now is noticed when its line is heard next.
        with suppress(OSError):
            line.send(_INSTANT.pack(self.now))


class Pace:
    """Keeps simulated time from going faster than real time, and measures how fast it goes.

    Args:
        clock: of real time [s].
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._origin: float | None = None
        self._marks: deque[tuple[float, float]] = deque()

    def early(self, t: float) -> float:
        """How long to wait before it may be so late [s]; 0 or less if it may be now."""
        real = self._clock()
        if self._origin is None:
            self._origin = real - t
        early = self._origin + t - real
        if early < -MOST_MADE_UP:
            self._origin -= early + MOST_MADE_UP
        return early

    def factor(self, t: float) -> float:
        """Simulated time by real time over the last seconds, now that it is `t` [s]."""
        real, marks = self._clock(), self._marks
        marks.append((real, t))
        while len(marks) > 2 and marks[1][0] <= real - _WINDOW:
            marks.popleft()
        passed = real - marks[0][0]
        return (t - marks[0][1]) / passed if passed > 0 else 1.0
