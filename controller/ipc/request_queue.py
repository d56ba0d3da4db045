"""What passes between the tick and the thread that serves the sockets: bounded, never waited for.

CPython's deque operations are atomic, so the tick takes no lock that a slow reader could hold.
"""

import os
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from inhand.controller.core.interfaces import PolicyRunner
from inhand.controller.core.records import Event, Snapshot
from inhand.controller.core.requests import AnyRequest, Estop, Stop, work
from inhand.controller.errors import ErrorCode

Item = TypeVar("Item")
Asker = tuple[list[bytes], str | int]
"""Routing frames of whoever asked, and the request's id."""

QUEUE = 256
"""Work that may wait for the tick, in requests without goals; more is refused as `busy`."""

OVERTAKEN = "an emergency stop came first; ask again if it is still wanted"


@dataclass(frozen=True, slots=True)
class PendingRequest:
    """A request on its way to the tick.

    Attributes:
        client: routing frames of whoever asked.
        request: what was asked.
        policy: the loaded policy, with a request to load one.
        also: others whose requests this one carries out too; the server's alone.
    """

    client: list[bytes]
    request: AnyRequest
    policy: PolicyRunner | None = None
    also: list[Asker] = field(default_factory=list)

    def done(self, result: dict[str, object]) -> "Answer":
        """The answer to a request that was carried out."""
        return Answer(self.client, self.request.id, result, also=self.also)

    def refused(self, code: ErrorCode, message: str) -> "Answer":
        """The answer to one that was not."""
        return Answer(self.client, self.request.id, None, code, message, self.also)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the tick made of a request.

    Attributes:
        client: routing frames of whoever asked.
        id: the request's id.
        result: members of the positive reply; None if refused.
        code: error code, of use if refused.
        message: what was wrong if refused.
        also: others who get the same answer, each with their own id.
    """

    client: list[bytes]
    id: str | int
    result: dict[str, object] | None
    code: ErrorCode = "refused"
    message: str = ""
    also: list[Asker] = field(default_factory=list)


class RequestQueue:
    """The queues between the tick and the server.

    Attributes:
        snapshot: the latest one; None before the first tick.
        wake: an eventfd that is readable when answers or events wait.
    """

    def __init__(self) -> None:
        self.snapshot: Snapshot | None = None
        self.wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._urgent: deque[PendingRequest] = deque()
        self._letters: deque[PendingRequest] = deque()
        self._answers: deque[Answer] = deque()
        self._events: deque[Event] = deque(maxlen=4096)

    # The server's side.

    def post(self, pending: PendingRequest) -> bool:
        """Leaves a request for the tick; False if too much waits. Stops are always taken."""
        if isinstance(pending.request, Estop):
            self._urgent.append(pending)
            return True
        if not isinstance(pending.request, Stop):
            waiting = sum(work(other.request) for other in tuple(self._letters))
            if waiting + work(pending.request) > QUEUE:
                return False
        self._letters.append(pending)
        return True

    def collect(self) -> tuple[list[Answer], list[Event]]:
        """Takes what the tick left."""
        with suppress(BlockingIOError):
            os.eventfd_read(self.wake)
        return _drain(self._answers), _drain(self._events)

    def answer(self, answer: Answer) -> None:
        """Leaves one answer, from a thread that worked for the server."""
        self._answers.append(answer)
        os.eventfd_write(self.wake, 1)

    # The tick's side.

    def take(self, most: int) -> list[PendingRequest]:
        """Takes the emergency stops or, if there are none, others with at most this much work.

        At least one, if any waits.
        """
        letters = _drain(self._urgent)
        if letters:
            # What was asked for before an emergency stop must not undo it.
            overtaken = [pending.refused("refused", OVERTAKEN) for pending in _drain(self._letters)]
            self.leave(overtaken, [])
            return letters
        done = 0
        while self._letters:
            done += work(self._letters[0].request)
            if letters and done > most:
                break
            letters.append(self._letters.popleft())
        return letters

    def leave(self, answers: list[Answer], events: list[Event]) -> None:
        """Leaves answers and events for the server."""
        if answers or events:
            self._answers.extend(answers)
            self._events.extend(events)
            os.eventfd_write(self.wake, 1)

    def close(self) -> None:
        """Releases the eventfd, when neither side uses it any more."""
        os.close(self.wake)


def _drain(queue: deque[Item]) -> list[Item]:
    taken: list[Item] = []
    while queue:
        taken.append(queue.popleft())
    return taken
