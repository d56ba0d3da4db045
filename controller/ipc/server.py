"""The command and state sockets, served by a separate thread."""

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping

import zmq

from inhand.controller.core.interfaces import PolicyRunner
from inhand.controller.core.observers import Observers
from inhand.controller.core.requests import (
    STOPS,
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
from inhand.controller.ipc.listener import Listener
from inhand.controller.ipc.long_requests import LONG, LongMessage, LongRequests
from inhand.controller.ipc.policy_loading import PolicyLoading
from inhand.controller.ipc.protocol import (
    MAX_SIZE,
    ProtocolError,
    decode_request,
    peek,
    reply_error,
    reply_ok,
)
from inhand.controller.ipc.publisher import Publisher
from inhand.controller.ipc.rate_limit import RequestLimits
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

_READ_AT_ONCE = 32
_FLOOD_PAUSE = 0.001
_HANDLING = 0.003
_HANDLING_APART = 0.001
_APART_AT_ONCE = 4
_APART = 1.0
_LONGEST_ESTOP = 300
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
        self._limits = RequestLimits()
        self._own, self._owner = own, StopOwner()
        self.attendance = attendance or Attendance(own, now)
        # Stops in the queue that no later request in the queue could undo.
        self._stops: dict[type[AnyRequest], PendingRequest] = {}
        # Messages that were received and not handled yet; the first `_overtaken` of them came
        # before an emergency stop.
        self._unread: deque[tuple[int, list[bytes]]] = deque()
        self._overtaken, self._estops = 0, 0
        self._long_requests = LongRequests(request_queue.notify)
        self._commands, self._states_socket = sockets
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
        self._long_requests.start()
        period = 1.0 / STATE_RATE
        next_state = time.monotonic()
        while not self._stopping.is_set():
            self.came_round = time.monotonic()
            pause = max(0.0, next_state - time.monotonic())
            busy = self._commands.waiting or self._unread
            # Clients that are set apart wait for the next round, and do not end this pause.
            pause = min(pause, _FLOOD_PAUSE) if self._commands.some_apart else pause
            poller.poll(timeout=0 if busy else math.ceil(pause * 1000))
            self._read()
            self._read_apart()
            self._states_socket.update()
            self._forward()
            now = time.monotonic()
            if now >= next_state:
                next_state = max(next_state + period, now)
                self._publisher.state()
        self._forward()

    def _close(self) -> None:
        self._long_requests.stop()
        self._commands.close()
        self._states_socket.close()

    def _read(self) -> None:
        """Reads messages, and handles those that wait, for a limited time."""
        if len(self._unread) < _READ_AT_ONCE:
            messages = self._commands.receive(_READ_AT_ONCE)
            self.attendance.update(self._commands.connections)
            # An emergency stop is not handled after messages that came with it.
            stops = [one for one in messages if _may_be_estop(one[1])]
            self._unread += [one for one in messages if not _may_be_estop(one[1])]
            for number, frames in stops:
                self._handle(number, frames)
        # A reply to `events` contains all events from before the request.
        self._forward()
        end = time.monotonic() + _HANDLING
        while self._unread and time.monotonic() < end:
            self._handle(*self._unread.popleft(), overtaken=self._overtaken > 0)
            self._overtaken = max(0, self._overtaken - 1)
        if self._commands.waiting:
            # During a flood further messages wait in the sender's queue, so that this thread
            # leaves the processor to the tick.
            time.sleep(_FLOOD_PAUSE)

    def _read_apart(self) -> None:
        """Handles messages of clients that ask for too much, for a shorter time."""
        for message, request in self._long_requests.take():
            self._commands.release(message.number)
            self._carry_out(message.client, request, message.stops != self._estops)
        end = time.monotonic() + _HANDLING_APART
        while self._commands.some_apart and time.monotonic() < end:
            messages = self._commands.receive_apart(_APART_AT_ONCE)
            for number, frames in messages:
                self._handle(number, frames)
            if not messages:
                return

    def _handle(self, number: int, frames: list[bytes], *, overtaken: bool = False) -> None:
        """Decodes a message, and answers it or hands it over; `overtaken` by an emergency stop."""
        # A REQ socket sends an empty frame first, a DEALER may omit it; so does the reply.
        empty = [b""] if len(frames) > 1 and not frames[0] else []
        client, content = [number.to_bytes(8, "big"), *empty], frames[-1]
        request: AnyRequest | ProtocolError
        try:
            if len(frames) != len(client):
                raise ProtocolError("malformed", "send each message as one frame")
            self._limit(number, content)
            if LONG < len(content) <= MAX_SIZE:
                # Nothing more is read of this client before, so that its requests stay in order.
                self._commands.set_apart(number, _APART, hold=True)
                stops = self._estops - overtaken
                self._long_requests.put(LongMessage(number, client, content, stops))
                return
            request = decode_request(content)
        except ProtocolError as error:
            request = error
        self._carry_out(client, request, overtaken)

    def _carry_out(
        self, client: list[bytes], request: AnyRequest | ProtocolError, overtaken: bool
    ) -> None:
        if isinstance(request, ProtocolError):
            self._reply(client, reply_error(request.id, request.code, str(request)))
        elif isinstance(request, Estop):
            number = int.from_bytes(client[0], "big")
            self._owner.press(self._person(number), stopped=self._stopped)
            self._post_stop(client, request)
            self._overtaken = len(self._unread)
            self._estops += 1
        else:
            self._dispatch(client, request, overtaken)

    def _limit(self, number: int, message: bytes) -> None:
        """Raises ProtocolError for a message above the rate limits, unless it is a stop."""
        if len(message) <= MAX_SIZE and (excess := self._excess(number, message)):
            self._commands.set_apart(number, _APART)
            id, kind = peek(message)
            if kind not in STOPS:
                raise ProtocolError("busy", excess, id)

    def _excess(self, number: int, message: bytes) -> str:
        """Which rate limit a client exceeds with this message; empty if none."""
        connection = self._commands.connections.get(number)
        own = connection is None or self._own(connection.process)
        program = None if own or connection is None else connection.process
        return self._limits.excess(number, program, len(message), time.monotonic())

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


def _may_be_estop(frames: list[bytes]) -> bool:
    return len(frames[-1]) <= _LONGEST_ESTOP and b'"estop"' in frames[-1]
