"""In which order requests of all clients are read: nobody waits for those who ask for too much."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

from inhand.controller.core.requests import STOPS, AnyRequest
from inhand.controller.ipc.connection import LONG
from inhand.controller.ipc.listener import Listener
from inhand.controller.ipc.long_requests import LongMessage, LongRequests
from inhand.controller.ipc.protocol import MAX_SIZE, ProtocolError, decode_request, peek
from inhand.controller.ipc.rate_limit import RequestLimits

PAUSE = 0.001
"""Between two rounds while clients ask for too much; it leaves the processor to the tick [s]."""

_AT_ONCE = 32
_HANDLING = 0.003
_APART_AT_ONCE = 4
_HANDLING_APART = 0.001
_APART = 1.0
_LONGEST_ESTOP = 300


class Received(NamedTuple):
    """A message.

    Attributes:
        client: routing frames of the client; the first is its number.
        request: what it asks for, or why that is not accepted.
        overtaken: whether an emergency stop was received that may have come before it.
    """

    client: list[bytes]
    request: AnyRequest | ProtocolError
    overtaken: bool


class Intake:
    """Receives and decodes the messages of the command socket; used by the server's thread.

    A client that exceeds a rate limit is set apart for a second: its messages are handled one
    after the other when there is nothing else to do. Long requests are decoded by another thread.

    Args:
        listener: the command socket.
        own: whether a process id is that of the gateway, which limits each of its clients.
        wake: called when a long request has been decoded.

    Attributes:
        estops: number of emergency stops so far; counted by the server.
    """

    def __init__(
        self, listener: Listener, own: Callable[[int], bool], wake: Callable[[], None]
    ) -> None:
        self.estops = 0
        self._listener, self._own = listener, own
        self._limits = RequestLimits()
        self._long_requests = LongRequests(wake)
        # With the number of emergency stops before each message.
        self._unread: deque[tuple[int, list[bytes], int]] = deque()

    def start(self) -> None:
        """Starts the thread for long requests."""
        self._long_requests.start()

    def close(self) -> None:
        """Ends the thread, and closes the socket."""
        self._long_requests.stop()
        self._listener.close()

    def pause(self, longest: float) -> float:
        """For how long to wait for messages of clients that are not set apart [s]."""
        if self._unread or self._listener.waiting:
            return 0.0
        return min(PAUSE, longest) if self._listener.some_apart else longest

    def receive(self) -> None:
        """Receives what has come; an emergency stop is put first."""
        if len(self._unread) >= _AT_ONCE:
            return
        messages = [(*one, self.estops) for one in self._listener.receive(_AT_ONCE)]
        self._unread += [one for one in messages if not _may_be_estop(one[1])]
        self._unread.extendleft(one for one in messages if _may_be_estop(one[1]))

    def orderly(self) -> Iterator[Received]:
        """What was received, for a limited time."""
        end = time.monotonic() + _HANDLING
        while self._unread and time.monotonic() < end:
            yield from self._decode(*self._unread.popleft())
        if self._listener.waiting:
            # During a flood further messages wait in the sender's queue.
            time.sleep(PAUSE)

    def apart(self) -> Iterator[Received]:
        """Long requests, and those of clients that are set apart, for a shorter time."""
        for message, request in self._long_requests.take():
            self._listener.release(message.number)
            yield Received(message.client, request, message.stops != self.estops)
        end = time.monotonic() + _HANDLING_APART
        while self._listener.some_apart and time.monotonic() < end:
            messages = self._listener.receive_apart(_APART_AT_ONCE)
            for number, frames in messages:
                yield from self._decode(number, frames, self.estops)
            if not messages:
                return

    def _decode(self, number: int, frames: list[bytes], stops: int) -> Iterator[Received]:
        # A REQ socket sends an empty frame first, a DEALER may omit it; so does the reply.
        empty = [b""] if len(frames) > 1 and not frames[0] else []
        client, content = [number.to_bytes(8, "big"), *empty], frames[-1]
        request: AnyRequest | ProtocolError
        try:
            if len(frames) != len(client):
                raise ProtocolError("malformed", "send each message as one frame")
            self._limit(number, content)
            if LONG < len(content) <= MAX_SIZE:
                self._listener.set_apart(number, _APART)
                self._long_requests.put(LongMessage(number, client, content, stops))
                return
            request = decode_request(content)
        except ProtocolError as error:
            request = error
        if sum(map(len, frames)) > LONG:
            self._listener.release(number)
        yield Received(client, request, stops != self.estops)

    def _limit(self, number: int, message: bytes) -> None:
        """Raises ProtocolError for a message above the rate limits, unless it is a stop."""
        if len(message) <= MAX_SIZE and (excess := self._excess(number, message)):
            self._listener.set_apart(number, _APART)
            id, kind = peek(message)
            if kind not in STOPS:
                raise ProtocolError("busy", excess, id)

    def _excess(self, number: int, message: bytes) -> str:
        """Which rate limit a client exceeds with this message; empty if none."""
        connection = self._listener.connections.get(number)
        own = connection is None or self._own(connection.process)
        program = None if own or connection is None else connection.process
        return self._limits.excess(number, program, len(message), time.monotonic())


def _may_be_estop(frames: list[bytes]) -> bool:
    return len(frames[-1]) <= _LONGEST_ESTOP and b'"estop"' in frames[-1]
