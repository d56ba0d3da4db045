"""A thread that decodes long requests, so that nobody else waits for it."""

import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import NamedTuple

from inhand.controller.core.requests import AnyRequest
from inhand.controller.ipc.protocol import ProtocolError, decode_request


class LongMessage(NamedTuple):
    """A message to decode.

    Attributes:
        number: of the client.
        client: its routing frames.
        content: of the message.
        stops: number of emergency stops before it.
    """

    number: int
    client: list[bytes]
    content: bytes
    stops: int


class LongRequests(threading.Thread):
    """Decodes messages in the order in which they came.

    A request of 1,000 goals takes some milliseconds. Other threads of Python get their turn
    meanwhile.

    Args:
        wake: called when a message has been decoded.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        super().__init__(name="long requests", daemon=True)
        self._wake = wake
        self._waiting: SimpleQueue[LongMessage | None] = SimpleQueue()
        self._done: deque[tuple[LongMessage, AnyRequest | ProtocolError]] = deque()

    def put(self, message: LongMessage) -> None:
        """Has a message decoded."""
        self._waiting.put(message)

    def take(self) -> list[tuple[LongMessage, AnyRequest | ProtocolError]]:
        """The messages that have been decoded since the last call."""
        taken = []
        while self._done:
            taken.append(self._done.popleft())
        return taken

    def stop(self) -> None:
        """Ends the thread after the message that it decodes now."""
        self._waiting.put(None)
        if self.is_alive():
            self.join(timeout=1.0)

    def run(self) -> None:
        while (message := self._waiting.get()) is not None:
            outcome: AnyRequest | ProtocolError
            try:
                outcome = decode_request(message.content)
            except ProtocolError as error:
                outcome = error
            self._done.append((message, outcome))
            self._wake()
