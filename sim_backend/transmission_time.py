"""A servo line with transmission times: answers leave at the baud rate of the servos.

Use it in place of a `ServoBus`:

    line = PacedLine(bus, lambda: speed_of(file))
    line.receive(data, now)          # received bytes; servos with another baud rate ignore them
    out = line.due(now)              # bytes that have left by now
    wait = line.next - now           # time until more bytes leave
"""

import fcntl
import struct
from collections import deque
from collections.abc import Callable

from inhand.sim_backend.emulator import ServoBus

BITS = 10
"""Bits of a byte on the line, with its start and stop bit."""
CHUNK = 62
"""Bytes that a USB adapter passes on together: a packet of 64 without two status bytes."""

_TERMIOS2 = struct.Struct("4I20B2I")
_TCGETS2 = 0x802C542A
"""Linux: reads a `struct termios2`, whose last two members are the speeds."""


def speed_of(file: int) -> int:
    """Baud rate that the other program has set on a terminal, standard or not [bit/s]."""
    answer = bytearray(_TERMIOS2.size)
    fcntl.ioctl(file, _TCGETS2, answer)
    speed: int = _TERMIOS2.unpack(answer)[-1]
    return speed


class PacedLine:
    """A half-duplex line with the servos' baud rates and return delays.

    Args:
        bus: the servos.
        speed: returns the present baud rate of the other end.

    Attributes:
        next: time at which the next bytes leave [s]; infinity if there are none.
    """

    def __init__(self, bus: ServoBus, speed: Callable[[], int]) -> None:
        self.next = float("inf")
        self._bus, self._speed = bus, speed
        self._free = 0.0
        self._leaving: deque[tuple[float, bytes]] = deque()

    def receive(self, data: bytes, now: float) -> None:
        """Takes bytes of the other end; the answer begins after their time on the line."""
        speed = self._speed()
        if not speed:
            return
        byte = BITS / speed
        t = max(now, self._free) + byte * len(data)
        answer = self._bus.receive(data, speed)
        if answer:
            t += self._bus.delay
        for start in range(0, len(answer), CHUNK):
            piece = answer[start : start + CHUNK]
            t += byte * len(piece)
            self._leaving.append((t, piece))
        self._free = t
        self._look()

    def due(self, now: float) -> bytes:
        """Bytes that have left at time `now` [s]."""
        out = b""
        while self._leaving and self._leaving[0][0] <= now:
            out += self._leaving.popleft()[1]
        self._look()
        return out

    def _look(self) -> None:
        self.next = self._leaving[0][0] if self._leaving else float("inf")
