"""Source of simulated time: waits for the programs that take part; not faster than real time."""

import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from math import inf
from pathlib import Path
from typing import Self

from inhand.perception.simulated_time import SLEEP, TimePage, socket_path

MAX_CATCH_UP = 0.1
"""Largest delay behind real time that simulated time makes up for [s]."""
_WINDOW = 2.0
"""Real time over which the speed is measured [s]."""
_INSTANT = struct.Struct("<d")


class Timekeeper:
    """The programs that take part in simulated time, and the times until which they sleep.

    Args:
        page: where the present time is published.
        listener: socket at which programs join.
        seats: number of programs that must have joined before time begins.

    Attributes:
        now: the present time [s].
        sent: number of bytes that the programs have sent to servos.
    """

    def __init__(self, page: TimePage, listener: socket.socket, seats: int) -> None:
        self.now, self.sent = 0.0, 0
        self._missing = seats
        self._page, self._listener = page, listener
        self._waiting: dict[socket.socket, float | None] = {}
        self._factor = 1.0

    @classmethod
    def open(cls, directory: Path, seats: int = 1) -> Self:
        """Makes page and socket of a run.

        Args:
            directory: of the run.
            seats: number of programs that must have joined before time begins.
        """
        page = TimePage.open(directory, create=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        socket_path(directory).unlink(missing_ok=True)
        listener.bind(str(socket_path(directory)))
        listener.listen()
        listener.setblocking(False)
        return cls(page, listener, seats)

    def files(self) -> list[socket.socket]:
        """Sockets to wait for; see `receive`."""
        return [self._listener, *self._waiting]

    def receive(self, readable: Iterable[object]) -> None:
        """Handles messages of programs, new programs, and programs that have left.

        Args:
            readable: those of `files` that are readable.
        """
        for program in list(self._waiting):
            if program in readable:
                self._receive_sleep(program)
        if self._listener in readable:
            with suppress(OSError):
                program, _ = self._listener.accept()
                program.setblocking(False)
                self._waiting[program] = None
                self._missing -= 1
                self._release(program)

    def target(self) -> float | None:
        """Earliest end of all sleeps [s]; None if a program does not sleep, or has yet to join."""
        if self._missing > 0 or not self._waiting:
            return None
        earliest = inf
        for until in self._waiting.values():
            if until is None:
                return None
            earliest = min(earliest, until)
        return earliest

    def set_time(self, t: float, factor: float | None = None) -> None:
        """Publishes the present time `t` [s] and the speed."""
        self._factor = self._factor if factor is None else factor
        self.now = max(self.now, t)
        self._page.set(self.now, self._factor)

    def wake(self) -> None:
        """Wakes the programs whose sleep is over."""
        for program, until in list(self._waiting.items()):
            if until is not None and until <= self.now:
                self._waiting[program] = None
                self._release(program)

    def close(self) -> None:
        """Closes all connections."""
        for program in self.files():
            program.close()

    def _receive_sleep(self, program: socket.socket) -> None:
        try:
            message = program.recv(SLEEP.size)
        except BlockingIOError:
            return
        except OSError:
            message = b""
        if len(message) != SLEEP.size:
            del self._waiting[program]
            program.close()
            return
        until, sent = SLEEP.unpack(message)
        self.sent = max(self.sent, sent)
        self._waiting[program] = until
        if until <= self.now:
            self._waiting[program] = None
            self._release(program)

    def _release(self, program: socket.socket) -> None:
        # A program that has ended is detected at the next read of its connection.
        with suppress(OSError):
            program.send(_INSTANT.pack(self.now))


class Pace:
    """Limits the speed of simulated time to that of real time, and measures it.

    Args:
        clock: of real time [s].
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._origin: float | None = None
        self._marks: deque[tuple[float, float]] = deque()

    def early(self, t: float) -> float:
        """Real time to wait until simulated time may be `t` [s]; 0 or less: no wait."""
        real = self._clock()
        if self._origin is None:
            self._origin = real - t
        early = self._origin + t - real
        if early < -MAX_CATCH_UP:
            self._origin -= early + MAX_CATCH_UP
        return early

    def factor(self, t: float) -> float:
        """Simulated time over real time in the last `_WINDOW`; the present time is `t` [s]."""
        real, marks = self._clock(), self._marks
        marks.append((real, t))
        while len(marks) > 2 and marks[1][0] <= real - _WINDOW:
            marks.popleft()
        passed = real - marks[0][0]
        return (t - marks[0][1]) / passed if passed > 0 else 1.0
