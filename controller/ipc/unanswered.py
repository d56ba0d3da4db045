"""How much a network client has sent without an answer; from the sizes of encrypted frames only.

libzmq keeps the frames of a message until its last one has come, however many there are. CURVE
hides which frame is the last of its message, but not the sizes of frames (rfc.zeromq.org/spec/26).
Each message to the gateway is answered by one. So a client without answers sends a message without
end.
"""

import asyncio
import time
from collections.abc import Callable, Iterator

from inhand.controller.ipc.protocol import MAX_SIZE
from inhand.controller.ipc.zmtp import GREETING

MOST_BYTES = 2 << 20
"""A client with more bytes without an answer is not read until answers have come [bytes]."""

MOST_FRAMES = 2000
"""The same for the number of frames: 1,000 requests, each with an empty frame first."""

PATIENCE = 3.0
"""It is disconnected if no answer comes within this time [s]."""

_SMALL = 54
"""Size of the largest encrypted PING or PONG [bytes]. Requests and replies are larger."""

_LONG = 2


class FrameSizes:
    """Finds the sizes of the frames in one direction of a connection."""

    def __init__(self) -> None:
        self._skip = len(GREETING)
        self._header = bytearray()

    def feed(self, data: bytes) -> Iterator[int]:
        """The sizes of the frames that begin in this piece of the stream [bytes]."""
        at = 0
        while at < len(data):
            if self._skip:
                passed = min(self._skip, len(data) - at)
                self._skip -= passed
                at += passed
                continue
            self._header.append(data[at])
            at += 1
            length = 8 if self._header[0] & _LONG else 1
            if len(self._header) == 1 + length:
                self._skip = int.from_bytes(self._header[1:], "big")
                self._header.clear()
                yield self._skip


class Unanswered:
    """What one client has sent without an answer. An answer counts for one request of any size.

    Args:
        answers: whether frames to the client are answers. A subscriber gets none.
        patience: how long to wait for one [s].
        now: returns the time [s].
    """

    def __init__(
        self,
        *,
        answers: bool,
        patience: float = PATIENCE,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._answers, self._patience, self._now = answers, patience, now
        self._sent, self._told = FrameSizes(), FrameSizes()
        self._bytes, self._frames, self._since = 0, 0.0, now()
        self._answered = asyncio.Event()

    def sent(self, data: bytes) -> None:
        """The client has sent this."""
        for size in self._sent.feed(data):
            self._frames += 1
            if size > _SMALL:
                self._bytes += size

    def told(self, data: bytes) -> None:
        """The gateway has sent this to the client."""
        if not self._answers:
            return
        answers = sum(size > _SMALL for size in self._told.feed(data))
        if answers:
            self._bytes = max(0, self._bytes - 2 * MAX_SIZE * answers)
            self._frames = max(0.0, self._frames - 2 * answers)
            self._answered.set()

    async def room(self) -> bool:
        """Waits until the client may send more; False if no answer comes."""
        # Pings are not answered in a way that can be told from a pong: one a second is allowed.
        now = self._now()
        self._frames = max(0.0, self._frames - (now - self._since))
        self._since = now
        while self._bytes > MOST_BYTES or self._frames > MOST_FRAMES:
            self._answered.clear()
            try:
                await asyncio.wait_for(self._answered.wait(), self._patience)
            except TimeoutError:
                return False
        return True
