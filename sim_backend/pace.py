"""A line on which bytes take their time: what servos answer leaves as their baud rate lets it.

Stand it where a `FaultyLine` would send at once:

    line = PacedLine(bus, lambda: speed_of(file))
    line.receive(data, now)          # what came; servos of another speed have heard noise
    out = line.due(now)              # what has left by now
    wait = line.next - now           # until more will
"""

import termios
from collections import deque
from collections.abc import Callable

from inhand.sim_backend.emulator import ServoBus

BITS = 10
"""Of a byte on the line, with its start and stop bit."""
CHUNK = 62
"""Bytes that a USB adapter hands over together: a packet of 64 without its two of status."""

_SPEEDS = {
    getattr(termios, name): int(name[1:])
    for name in dir(termios)
    if name[0] == "B" and name[1:].isdigit()
}


def speed_of(file: int) -> int:
    """Baud rate that a terminal was set to by whoever has it open; 0 if it is no usual one."""
    return _SPEEDS.get(termios.tcgetattr(file)[5], 0)


class PacedLine:
    """A half-duplex line with the servos' baud rates and return delays.

    Args:
        bus: the servos.
        speed: gives the baud rate at which the other end speaks and listens now.

    Attributes:
        next: when more will have left [s]; infinity if nothing is on its way.
    """

    def __init__(self, bus: ServoBus, speed: Callable[[], int]) -> None:
        self.next = float("inf")
        self._bus, self._speed = bus, speed
        self._free = 0.0
        self._leaving: deque[tuple[float, bytes]] = deque()

    def receive(self, data: bytes, now: float) -> None:
        """Takes what the other end said; the answer begins when all of it has passed the line."""
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
        """What has left by a time [s]."""
        out = b""
        while self._leaving and self._leaving[0][0] <= now:
            out += self._leaving.popleft()[1]
        self._look()
        return out

    def _look(self) -> None:
        self.next = self._leaving[0][0] if self._leaving else float("inf")
