"""Bounded queues between the tick and the server's thread; neither side ever waits.

CPython's deque operations are atomic, so the tick needs no lock that a slow thread could hold.
"""

import os
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self, TypeVar

from inhand.controller.core.interfaces import PolicyRunner
from inhand.controller.core.records import Event, Snapshot
from inhand.controller.core.requests import AnyRequest, Estop, Stop, work
from inhand.controller.errors import ErrorCode
from inhand.controller.ipc.authority import Sender

Item = TypeVar("Item")
Client = tuple[list[bytes], str | int]
"""Routing frames of the client, and the request's id."""

QUEUE = 256
"""Largest work that may wait, counted in requests without goals; more is refused as `busy`."""

FULL = "too many requests wait for the tick; send fewer requests"

OVERTAKEN = "an emergency stop came first; send the request again if it is still wanted"


@dataclass(frozen=True, slots=True)
class PendingRequest:
    """A request that waits for the tick.

    Attributes:
        client: routing frames of the client.
        request: the request.
        policy: the loaded policy; only with `load_policy`.
        also: clients with the same request, which get the same answer; used by the server only.
        sender: the program that asks; None if it is not known.
    """

    client: list[bytes]
    request: AnyRequest
    policy: PolicyRunner | None = None
    also: list[Client] = field(default_factory=list)
    sender: Sender | None = None

    def done(self, result: dict[str, object]) -> "Answer":
        """The answer to a request that was carried out."""
        return Answer(self.client, self.request.id, result, also=self.also)

    def refused(self, code: ErrorCode, message: str) -> "Answer":
        """The answer to a request that was refused."""
        return Answer(self.client, self.request.id, None, code, message, self.also)


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of a request.

    Attributes:
        client: routing frames of the client.
        id: the request's id.
        result: members of the positive reply; None if the request was refused.
        code: error code; valid only if the request was refused.
        message: why the request was refused.
        also: other clients that get the same answer, each with its own id.
    """

    client: list[bytes]
    id: str | int
    result: dict[str, object] | None
    code: ErrorCode = "refused"
    message: str = ""
    also: list[Client] = field(default_factory=list)


class RequestQueue:
    """The queues between the tick and the server.

    Attributes:
        snapshot: the latest snapshot; None before the first tick.
        wake: an eventfd that is readable when answers or events wait; -1 before `open`.
    """

    def __init__(self) -> None:
        self.snapshot: Snapshot | None = None
        self.wake = -1
        self._urgent: deque[PendingRequest] = deque()
        self._requests: deque[PendingRequest] = deque()
        self._answers: deque[Answer] = deque()
        self._events: deque[Event] = deque(maxlen=4096)

    def open(self) -> Self:
        """Makes the eventfd."""
        self.wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        return self

    # The server's side.

    def post(self, pending: PendingRequest) -> bool:
        """Queues a request for the tick; False if the queue is full. Stops are always accepted."""
        if isinstance(pending.request, Estop):
            self._urgent.append(pending)
            return True
        if not isinstance(pending.request, Stop):
            waiting = sum(work(other.request) for other in tuple(self._requests))
            if waiting + work(pending.request) > QUEUE:
                return False
        self._requests.append(pending)
        return True

    def collect(self) -> tuple[list[Answer], list[Event]]:
        """Takes all answers and events from the queues."""
        with suppress(BlockingIOError):
            os.eventfd_read(self.wake)
        return _drain(self._answers), _drain(self._events)

    def answer(self, answer: Answer) -> None:
        """Queues one answer; called by the server's helper threads."""
        self._answers.append(answer)
        self.notify()

    def notify(self) -> None:
        """Makes `wake` readable."""
        os.eventfd_write(self.wake, 1)

    # The tick's side.

    def take(self, most: int) -> list[PendingRequest]:
        """Takes the emergency stops or, if there are none, other requests up to this much work.

        At least one request is taken if any waits.
        """
        taken = _drain(self._urgent)
        if taken:
            # Requests that came before an emergency stop must not undo it.
            overtaken = [
                pending.refused("refused", OVERTAKEN) for pending in _drain(self._requests)
            ]
            self.leave(overtaken, [])
            return taken
        amount = 0
        while self._requests:
            amount += work(self._requests[0].request)
            if taken and amount > most:
                break
            taken.append(self._requests.popleft())
        return taken

    def leave(self, answers: list[Answer], events: list[Event]) -> None:
        """Queues answers and events for the server."""
        if answers or events:
            self._answers.extend(answers)
            self._events.extend(events)
            os.eventfd_write(self.wake, 1)

    def close(self) -> None:
        """Closes the eventfd; called when neither side uses it any more."""
        wake, self.wake = self.wake, -1
        if wake >= 0:
            os.close(wake)


def _drain(queue: deque[Item]) -> list[Item]:
    taken: list[Item] = []
    while queue:
        taken.append(queue.popleft())
    return taken
