"""Simulated time: one process makes it, others read it and take part in it.

Whoever takes part says until when it sleeps. Time goes on when all of them sleep, to the earliest
of these instants and no further, so that nobody is late however slow the machine is. In a
directory lie a page with the present time, for all to read, and a socket to take part at.
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

CAMERA_RATE = 15.0
"""Pictures a second of the simulated cameras [Hz]."""
CAMERA_LATENCY = 0.03
"""From a picture to the tick that uses it: drawing, detection and transport, as measured over the
wires in real time (docs/evaluation.md) [s]."""

_PAGE = struct.Struct("<dd")
_INSTANT = struct.Struct("<d")
SLEEP = struct.Struct("<dQ")
"""What is said by who sleeps: until when [s], and how many bytes it has sent to servos so far."""
_LOOK = 0.2
"""How long to sleep at most before looking whether it is still of use [s]."""
_REPLY = 0.5
"""Real time in which a reply comes, if one comes, while simulated time stands still [s]."""


def picture_number(t: float) -> int:
    """Number of the newest picture that a camera has begun by a time [s]; the first is 0."""
    return floor(t * CAMERA_RATE + 1e-6)


def socket_path(directory: Path) -> Path:
    """Where programs take part in the time of a run directory."""
    return directory / "time.sock"


class TimePage:
    """The present simulated time, as every process may read it.

    Args:
        directory: where the page is.
        create: whether to make it, and to begin at 0.

    Raises:
        OSError: there is no such page, or it cannot be made.
    """

    def __init__(self, directory: Path, *, create: bool = False) -> None:
        path = directory / "time"
        if create:
            path.write_bytes(_PAGE.pack(0.0, 1.0))
        access = os.O_RDWR if create else os.O_RDONLY
        file = os.open(path, access | os.O_CLOEXEC)
        try:
            protection = mmap.PROT_READ | (mmap.PROT_WRITE if create else 0)
            self._memory = mmap.mmap(file, _PAGE.size, mmap.MAP_SHARED, protection)
        finally:
            os.close(file)

    def now(self) -> float:
        """The present [s]; 0 when the world began."""
        return float(_INSTANT.unpack_from(self._memory)[0])

    def factor(self) -> float:
        """How fast time has gone lately: 1 is as fast as real time."""
        return float(_INSTANT.unpack_from(self._memory, _INSTANT.size)[0])

    def set(self, now: float, factor: float) -> None:
        """Sets both, if this process made the page."""
        _INSTANT.pack_into(self._memory, 0, now)
        _INSTANT.pack_into(self._memory, _INSTANT.size, factor)


class SimulatedClock:
    """A clock of simulated time, which stands still while a thread that takes part does not sleep.

    The thread that makes it takes part from then on; another does within `aside`.

    Args:
        directory: of the run.
        given_up: asked while it sleeps, whether to wait no longer.

    Raises:
        OSError: there is no simulated time in that directory.
    """

    def __init__(self, directory: Path, given_up: Callable[[], bool] = lambda: False) -> None:
        self._page = TimePage(directory)
        self._path = socket_path(directory)
        self._given_up = given_up
        self._sent = 0
        self._local = threading.local()
        self._local.seat = self._sit_down()

    def now(self) -> float:
        """The present [s]."""
        return self._page.now()

    def factor(self) -> float:
        """How fast time has gone lately: 1 is as fast as real time."""
        return self._page.factor()

    def sleep_until(self, deadline: float) -> None:
        """Returns at `deadline` [s] exactly, or when it is given up."""
        seat: socket.socket = self._local.seat
        if deadline <= self.now():
            return
        try:
            seat.send(SLEEP.pack(deadline, self._sent))
            while not select.select((seat,), (), (), _LOOK)[0]:
                if self._given_up():
                    return
            if seat.recv(_INSTANT.size):
                return
        except OSError:
            pass
        # The world has ended; whoever supervises it sees that, and needs a moment.
        time.sleep(min(_LOOK, deadline - self.now()))

    def wait_readable(self, file: int, deadline: float) -> bool:
        """Whether a file becomes readable by a time [s].

        What the world answers at once comes while time stands still.
        """
        if select.select((file,), (), (), _REPLY if deadline > self.now() else 0.0)[0]:
            return True
        self.sleep_until(deadline)
        return bool(select.select((file,), (), (), 0.0)[0])

    def note_sent(self, size: int) -> None:
        """Takes note of bytes to servos, without which time must not go on."""
        self._sent += size

    @contextmanager
    def _seated(self, seat: socket.socket) -> Iterator[None]:
        self._local.seat = seat
        try:
            yield
        finally:
            del self._local.seat
            seat.close()

    def aside(self) -> AbstractContextManager[None]:
        """Takes part once more, for another thread, which sleeps within what is returned."""
        return self._seated(self._sit_down())

    def close(self) -> None:
        """Takes part no longer; time goes on without this thread."""
        with suppress(AttributeError):
            self._local.seat.close()
            del self._local.seat

    def _sit_down(self) -> socket.socket:
        seat = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            seat.connect(str(self._path))
            # Only when the world has answered is it sure that time waits.
            seat.recv(_INSTANT.size)
        except OSError:
            seat.close()
            raise
        return seat
