"""Simulated time: one process makes it; other processes read it or take part in it.

Each program that takes part sends the time until which it sleeps. When all of them sleep, time
advances to the earliest of these times and no further: no program is late, however slow the
machine is. The run directory contains a page of shared memory with the present time, and a socket
for the programs that take part.
"""

import mmap
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from math import floor
from pathlib import Path
from typing import Self

CAMERA_RATE = 15.0
"""Frame rate of the simulated cameras [Hz]."""
CAMERA_LATENCY = 0.03
"""Time from an image to the tick that uses it [s]: rendering, detection and transport, as measured
between the real processes in real time (docs/evaluation.md)."""

_SIZE = 16
"""Of the page: two numbers of 8 bytes."""
_INSTANT = struct.Struct("<d")
SLEEP = struct.Struct("<dQ")
"""Message of a program before it sleeps: end of the sleep [s], number of bytes sent to servos."""
_LOOK = 0.2
"""Interval at which a sleeping thread checks `given_up`, in real time [s]."""
_REPLY = 0.5
"""Longest real time until a reply comes while simulated time stands still [s]."""


def picture_number(t: float) -> int:
    """Number of the newest image that a camera has started at time `t` [s]; the first is 0."""
    return floor(t * CAMERA_RATE + 1e-6)


def socket_path(directory: Path) -> Path:
    """The socket at which programs take part in the simulated time of a run."""
    return directory / "time.sock"


class TimePage:
    """The present simulated time in shared memory.

    Args:
        memory: the page.
    """

    def __init__(self, memory: mmap.mmap) -> None:
        # Numbers of a typed view are written and read at one go. `struct` clears the bytes before
        # it writes them one by one, so that another process may read half of a number, or zero.
        self._numbers = memoryview(memory).cast("d")

    @classmethod
    def open(cls, directory: Path, *, create: bool = False) -> Self:
        """Opens the page of a run.

        Args:
            directory: of the run.
            create: whether to create the page, with time 0.

        Raises:
            OSError: there is no such page, or it cannot be created.
        """
        path = directory / "time"
        if create:
            path.write_bytes(struct.pack("2d", 0.0, 1.0))
        access = os.O_RDWR if create else os.O_RDONLY
        file = os.open(path, access | os.O_CLOEXEC)
        try:
            protection = mmap.PROT_READ | (mmap.PROT_WRITE if create else 0)
            return cls(mmap.mmap(file, _SIZE, mmap.MAP_SHARED, protection))
        finally:
            os.close(file)

    def now(self) -> float:
        """The present time [s]; 0 at the start of the world."""
        return self._numbers[0]

    def factor(self) -> float:
        """Recent speed of simulated time; 1 is the speed of real time."""
        return self._numbers[1]

    def set(self, now: float, factor: float) -> None:
        """Sets both; only for the process that created the page."""
        self._numbers[0], self._numbers[1] = now, factor


class SimulatedClock:
    """A clock of simulated time, which stands still until all threads that take part sleep.

    The thread that opens the clock takes part from then on; another thread does within `aside`.

    Args:
        page: the present time.
        path: of the socket at which threads take part.
        given_up: called during a sleep; true ends the sleep.
    """

    def __init__(self, page: TimePage, path: Path, given_up: Callable[[], bool]) -> None:
        self._page, self._path, self._given_up = page, path, given_up
        self._sent = 0
        self._local = threading.local()

    @classmethod
    def open(cls, directory: Path, given_up: Callable[[], bool] = lambda: False) -> Self:
        """Opens the clock of a run; the calling thread takes part from then on.

        Args:
            directory: of the run.
            given_up: called during a sleep; true ends the sleep.

        Raises:
            OSError: there is no simulated time in that directory.
        """
        clock = cls(TimePage.open(directory), socket_path(directory), given_up)
        clock._local.connection = clock._connect()
        return clock

    def now(self) -> float:
        """The present time [s]."""
        return self._page.now()

    def factor(self) -> float:
        """Recent speed of simulated time; 1 is the speed of real time."""
        return self._page.factor()

    def sleep_until(self, deadline: float) -> None:
        """Sleeps until exactly `deadline` [s], or until `given_up` returns true."""
        connection: socket.socket = self._local.connection
        if deadline <= self.now():
            return
        try:
            connection.send(SLEEP.pack(deadline, self._sent))
            while not select.select((connection,), (), (), _LOOK)[0]:
                if self._given_up():
                    return
            if connection.recv(_INSTANT.size):
                return
        except OSError:
            pass
        # The world has ended: sleep for a moment, until the supervisor detects it.
        time.sleep(min(_LOOK, deadline - self.now()))

    def wait_readable(self, file: int, deadline: float) -> bool:
        """Waits until a file is readable, at most until `deadline` [s]; returns whether it is.

        An immediate reply of the world arrives while simulated time stands still.
        """
        if select.select((file,), (), (), _REPLY if deadline > self.now() else 0.0)[0]:
            return True
        self.sleep_until(deadline)
        return bool(select.select((file,), (), (), 0.0)[0])

    def note_sent(self, size: int) -> None:
        """Counts bytes sent to servos: time does not advance before the world has read them."""
        self._sent += size

    @contextmanager
    def _joined(self, connection: socket.socket) -> Iterator[None]:
        self._local.connection = connection
        try:
            yield
        finally:
            del self._local.connection
            connection.close()

    def aside(self) -> AbstractContextManager[None]:
        """A context in which another thread takes part; it may sleep only inside."""
        return self._joined(self._connect())

    def close(self) -> None:
        """Leaves; time no longer waits for this thread."""
        with suppress(AttributeError):
            self._local.connection.close()
            del self._local.connection

    def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            connection.connect(str(self._path))
            # Time waits for this thread only after the world's answer.
            connection.recv(_INSTANT.size)
        except OSError:
            connection.close()
            raise
        return connection
