"""Messages of the state socket, and the content of replies to `status` and `events`."""

import logging
from collections.abc import Callable, Mapping

from inhand.controller.core.observers import Observers
from inhand.controller.core.records import Event
from inhand.controller.ipc.protocol import VERSION, to_json
from inhand.controller.ipc.request_queue import RequestQueue
from inhand.controller.ipc.sockets import StateSocket
from inhand.controller.ipc.telemetry import EventLog, describe

log = logging.getLogger(__name__)

ROUND = 20
"""Number of state messages between two messages with description and statistics."""


class Publisher:
    """Publishes state and events; a failure is counted and loses only that message.

    Attributes:
        events: the latest events.
    """

    def __init__(
        self,
        socket: StateSocket,
        request_queue: RequestQueue,
        *,
        statistics: Callable[[], dict[str, object]],
        description: Mapping[str, object],
        observers: Observers,
        now: Callable[[], float],
    ) -> None:
        """Stores its parts.

        Args:
            socket: the state socket.
            request_queue: holds the latest snapshot.
            statistics: returns the members of `status` beside the snapshot.
            description: description of hand, object and cameras, which does not change.
            observers: calls the functions here and counts their failures.
            now: returns the daemon's time [s].
        """
        self.events = EventLog()
        self._socket = socket
        self._request_queue = request_queue
        self._statistics = statistics
        self._description = description
        self._observers = observers
        self._now = now
        self._states = 0

    def status(self) -> dict[str, object]:
        """The content of `status`; a part that fails is left out and counted."""
        snapshot = self._request_queue.snapshot
        if snapshot is None:
            return {"mode": "starting"}
        state = self._observers.call("telemetry", describe, snapshot, self._now())
        return {"mode": snapshot.mode.value, **(state or {}), **self._figures()}

    def state(self) -> None:
        """Publishes the state; description and statistics too, once per `ROUND` state messages."""
        self._observers.call("telemetry", self._state, self._now())

    def event(self, event: Event) -> None:
        """Numbers, logs and publishes an event."""
        self._observers.call("events", self._event, event)

    def _state(self, now: float) -> None:
        snapshot = self._request_queue.snapshot
        if snapshot is None:
            return
        self._states += 1
        self._publish(b"state", self._states, describe(snapshot, now))
        rounds, phase = divmod(self._states, ROUND)
        if phase == 1:
            self._publish(b"description", rounds + 1, {"v": VERSION, **self._description})
            self._publish(b"statistics", rounds + 1, self._figures())

    def _event(self, event: Event) -> None:
        message = self.events.add(event)
        log.info("%s", _one_line(message))
        self._socket.send_multipart([b"event", to_json(message)])

    def _publish(self, topic: bytes, number: int, members: Mapping[str, object]) -> None:
        self._socket.send_multipart([topic, to_json({"n": number, **members})])

    def _figures(self) -> dict[str, object]:
        figures = self._observers.call("statistics", self._statistics)
        return {**(figures or {}), "observer_errors": self._observers.summary()}


def _one_line(message: dict[str, object]) -> str:
    shown = {k: v for k, v in message.items() if k not in ("n", "t", "kind")}
    details = ", ".join(
        f"{k} {v:.3f}" if isinstance(v, float) else f"{k} {v}" for k, v in shown.items()
    )
    return f"{message['kind']}: {details}" if details else str(message["kind"])
