"""The command and state sockets, served by a separate thread."""

import logging
import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping

import zmq

from inhand.controller.core.interfaces import PolicyRunner
from inhand.controller.core.observers import Observers
from inhand.controller.core.requests import (
    AnyRequest,
    Cancel,
    Clear,
    Disarm,
    Estop,
    Events,
    Hold,
    LoadPolicy,
    Record,
    Status,
    Stop,
)
from inhand.controller.ipc.attendance import Attendance
from inhand.controller.ipc.intake import Intake, Received
from inhand.controller.ipc.listener import Listener
from inhand.controller.ipc.policy_loading import PolicyLoading
from inhand.controller.ipc.protocol import (
    ProtocolError,
    reply_error,
    reply_ok,
)
from inhand.controller.ipc.publisher import Publisher
from inhand.controller.ipc.recorder_requests import RecorderRequests
from inhand.controller.ipc.request_queue import (
    FULL,
    OVERTAKEN,
    PendingRequest,
    RequestQueue,
)
from inhand.controller.ipc.sockets import StateSocket
from inhand.controller.ipc.stop_owner import Person, StopOwner, person
from inhand.controller.safety.modes import Mode

log = logging.getLogger(__name__)

STATE_RATE = 20
"""State messages a second [Hz]."""

_LOADING = "load_policy: another policy is being loaded; send the request again in a moment"


class Server(threading.Thread):
    """Answers requests and publishes state and events until it is stopped.

    `status` and `events` are answered here, `record` by the recorder; all other requests go to the
    tick through the request queue.

    Attributes:
        came_round: when the thread last looked for requests [s on CLOCK_MONOTONIC].
        attendance: which programs are connected.
    """

    def __init__(
        self,
        sockets: tuple[Listener, StateSocket],
        request_queue: RequestQueue,
        *,
        statistics: Callable[[], dict[str, object]],
        load_policy: Callable[[str], PolicyRunner],
        on_failure: Callable[[str], None],
        description: Mapping[str, object] | None = None,
        recorder: RecorderRequests | None = None,
        observers: Observers | None = None,
        own: Callable[[int], bool] = lambda process: False,
        attendance: Attendance | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Stores its parts.

        Args:
            sockets: command and state socket, as `sockets.bind` makes them; `stop` closes them.
            request_queue: the queue to the tick.
            statistics: returns the members of `status` beside the snapshot.
            load_policy: loads and checks a policy; called in a separate thread, may be slow.
            on_failure: called with the reason when the sockets cannot be served any more.
            description: description of hand, object and cameras, which does not change.
            recorder: the recorder, if there is one.
            observers: the tick's observers; `status` contains their failures.
            own: whether a process id is that of the gateway, which limits each of its clients.
            attendance: which programs are connected; kept up to date.
            now: returns the daemon's time [s].
        """
        super().__init__(name="server", daemon=True)
        self._request_queue = request_queue
        self._policy_loading = PolicyLoading(load_policy, request_queue)
        self._on_failure = on_failure
        self._recorder = recorder
        self.came_round = 0.0
        self._stopping = threading.Event()
        self._own, self._owner = own, StopOwner()
        self.attendance = attendance or Attendance(own, now)
        # Stops in the queue that no later request in the queue could undo.
        self._stops: dict[type[AnyRequest], PendingRequest] = {}
        self._commands, self._states_socket = sockets
        self._intake = Intake(self._commands, own, request_queue.notify)
        self._publisher = Publisher(
            self._states_socket,
            request_queue,
            statistics=statistics,
            description=description or {},
            observers=observers or Observers(lambda event: request_queue.leave([], [event])),
            now=now,
        )

    def stop(self) -> None:
        """Sends the remaining answers, closes the sockets and waits for the thread to end."""
        self._stopping.set()
        if self.is_alive():
            self.join(timeout=2.0)
        else:
            self._close()

    def run(self) -> None:
        try:
            self._serve()
        except Exception as error:
            # Without the command socket nobody can stop the hand, so the daemon ends.
            log.exception("the sockets are no longer served")
            self._on_failure(f"the command socket failed: {error!r}")
        finally:
            self._close()

    def _serve(self) -> None:
        poller = zmq.Poller()
        poller.register(self._commands.fileno(), zmq.POLLIN)
        poller.register(self._states_socket.fileno(), zmq.POLLIN)
        poller.register(self._request_queue.wake, zmq.POLLIN)
        if self._recorder is not None:
            poller.register(self._recorder.fileno(), zmq.POLLIN)
        self._intake.start()
        period = 1.0 / STATE_RATE
        next_state = time.monotonic()
        while not self._stopping.is_set():
            self.came_round = time.monotonic()
            pause = max(0.0, next_state - time.monotonic())
            poller.poll(timeout=math.ceil(self._intake.pause(pause) * 1000))
            self._intake.receive()
            self.attendance.update(self._commands.connections)
            # A reply to `events` contains all events from before the request.
            self._forward()
            self._handle(self._intake.orderly())
            self._handle(self._intake.apart())
            self._states_socket.update()
            self._forward()
            now = time.monotonic()
            if now >= next_state:
                next_state = max(next_state + period, now)
                self._publisher.state()
        self._forward()

    def _close(self) -> None:
        self._intake.close()
        self._states_socket.close()

    def _handle(self, received: Iterable[Received]) -> None:
        """Answers messages, or hands them over."""
        for client, request, overtaken in received:
            if isinstance(request, ProtocolError):
                self._reply(client, reply_error(request.id, request.code, str(request)))
            elif isinstance(request, Estop):
                number = int.from_bytes(client[0], "big")
                self._owner.press(self._person(number), stopped=self._stopped)
                self._post_stop(client, request)
                self._intake.estops += 1
            else:
                self._dispatch(client, request, overtaken)

    def _dispatch(self, client: list[bytes], request: AnyRequest, stopped: bool) -> None:
        number = int.from_bytes(client[0], "big")
        sender = self.attendance.sender(self._commands.connections.get(number))
        match request:
            case Status():
                self._reply(client, reply_ok(request.id, self._publisher.status()))
            case Events():
                events = self._publisher.events
                result = {"events": events.since(request.since), "last": events.last}
                self._reply(client, reply_ok(request.id, result))
            case LoadPolicy():
                if not self._policy_loading.start(client, request, sender):
                    self._reply(client, reply_error(request.id, "busy", _LOADING))
            case Record():
                self._record(client, request)
            case Clear() if refusal := self._owner.refusal(
                self._person(number), stopped=self._stopped
            ):
                self._reply(client, reply_error(request.id, "forbidden", refusal))
            case _ if stopped:
                self._reply(client, reply_error(request.id, "refused", OVERTAKEN))
            case Hold() | Disarm() | Cancel():
                self._post_stop(client, request)
            case _ if self._request_queue.post(PendingRequest(client, request, sender=sender)):
                self._stops.clear()
            case _:
                self._reply(client, reply_error(request.id, "busy", FULL))

    @property
    def _stopped(self) -> bool:
        snapshot = self._request_queue.snapshot
        return snapshot is not None and snapshot.mode == Mode.ESTOP

    def _person(self, number: int) -> Person:
        connection = self._commands.connections.get(number)
        gateway = connection is not None and self._own(connection.process)
        return person(connection, gateway=gateway)

    def _post_stop(self, client: list[bytes], request: Stop) -> None:
        """Queues a stop for the tick, or adds the client to a waiting stop of the same type.

        No request was queued after the waiting stop that could undo it, so its answer is valid for
        both. At most a few stops wait for the tick, and none needs to be refused.
        """
        waiting = self._stops.get(type(request))
        if waiting is not None:
            waiting.also.append((client, request.id))
            return
        pending = self._stops[type(request)] = PendingRequest(client, request)
        self._request_queue.post(pending)

    def _record(self, client: list[bytes], request: Record) -> None:
        if self._recorder is None:
            text = "record: this daemon has no recorder"
            self._reply(client, reply_error(request.id, "unsupported", text))
        elif not self._recorder.ask(client, request.id, request.action, request.images):
            text = "record: the recorder accepts no requests now; send it again in a moment"
            self._reply(client, reply_error(request.id, "busy", text))

    def _forward(self) -> None:
        """Sends the answers and events of the tick and of the recorder."""
        answers, events = self._request_queue.collect()
        if self._recorder is not None:
            recorder_answers, recorder_events = self._recorder.collect()
            answers += recorder_answers
            events += recorder_events
        for event in events:
            self._publisher.event(event)
        for answer in answers:
            self._stops = {k: v for k, v in self._stops.items() if v.also is not answer.also}
            for client, id in ((answer.client, answer.id), *answer.also):
                if answer.result is None:
                    reply = reply_error(id, answer.code, answer.message)
                else:
                    reply = reply_ok(id, answer.result)
                self._reply(client, reply)

    def _reply(self, client: list[bytes], message: bytes) -> None:
        if not client:
            # A request of the daemon itself.
            return
        number, *empty = client
        self._commands.send(int.from_bytes(number, "big"), [*empty, message])
