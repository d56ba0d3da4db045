"""The command and state sockets, served by a thread of their own beside the tick."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import zmq

from inhand.controller.core.interfaces import PolicyRunner
from inhand.controller.core.observers import Observers
from inhand.controller.core.records import Event
from inhand.controller.core.requests import (
    STOPS,
    AnyRequest,
    Cancel,
    Disarm,
    Estop,
    Events,
    Hold,
    LoadPolicy,
    Record,
    RecordAction,
    Status,
    Stop,
)
from inhand.controller.errors import PolicyError
from inhand.controller.ipc.protocol import (
    MAX_SIZE,
    ProtocolError,
    decode_request,
    peek,
    reply_error,
    reply_ok,
)
from inhand.controller.ipc.publisher import Publisher
from inhand.controller.ipc.rate_limit import RATE, RateLimit
from inhand.controller.ipc.request_queue import OVERTAKEN, Answer, PendingRequest, RequestQueue
from inhand.controller.ipc.sockets import bind

log = logging.getLogger(__name__)

STATE_RATE = 20
"""State messages a second [Hz]."""

COST_SIZE = 1000
"""A message counts for one request more, to its client's rate, with every so many bytes."""

_READ_AT_ONCE = 200
_BREATH = 0.005
_BUSY = "too many requests wait for the tick; ask less often"
_TOO_MANY = f"more than {RATE:.0f} requests a second from one client; ask less often"
_LOADING = "load_policy: another policy is being loaded; ask again when it is"


class RecorderRequests(Protocol):
    """What the server needs of the flight recorder."""

    def fileno(self) -> int:
        """The descriptor to poll for what the recorder says."""

    def ask(
        self, client: list[bytes], id: str | int, action: RecordAction, images: bool | None = None
    ) -> bool:
        """Sends a request; False if the recorder does not take it."""

    def collect(self) -> tuple[list[Answer], list[Event]]:
        """Takes the recorder's replies and events."""


class Server(threading.Thread):
    """Answers requests and publishes state and events until told to stop.

    Status and events are answered here; everything else goes to the tick through the request_queue.
    """

    def __init__(
        self,
        directory: Path,
        request_queue: RequestQueue,
        *,
        statistics: Callable[[], dict[str, object]],
        load_policy: Callable[[str], PolicyRunner],
        give_up: Callable[[str], None],
        description: Mapping[str, object] | None = None,
        recorder: RecorderRequests | None = None,
        observers: Observers | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Binds the sockets.

        Args:
            directory: where the sockets are made.
            request_queue: the way to the tick.
            statistics: members of `status` beside the snapshot.
            load_policy: loads and checks a policy; may take its time.
            give_up: is told when no request can be answered any more.
            description: what does not change, for whoever watches.
            recorder: the recorder, if there is one.
            observers: those of the tick, whose failures `status` tells too.
            now: gives the daemon's time [s].

        Raises:
            StartError: a socket cannot be made there.
        """
        super().__init__(name="server", daemon=True)
        self._mailbox = request_queue
        self._load_policy = load_policy
        self._give_up = give_up
        self._recorder = recorder
        self._stop_asked = threading.Event()
        self._rate = RateLimit()
        self._loading = threading.Lock()
        # Stops that wait for the tick, since the last request that could undo them.
        self._stops: dict[type[AnyRequest], PendingRequest] = {}
        self._commands, self._states_socket = bind(directory)
        self._publisher = Publisher(
            self._states_socket,
            request_queue,
            statistics=statistics,
            description=description or {},
            observers=observers or Observers(lambda event: request_queue.leave([], [event])),
            now=now,
        )

    def stop(self) -> None:
        """Sends what is left, closes the sockets and waits for the end."""
        self._stop_asked.set()
        if self.is_alive():
            self.join(timeout=2.0)
        else:
            self._close()

    def run(self) -> None:
        try:
            self._serve()
        except Exception as error:
            # A hand that nobody can stop any more must not go on moving.
            log.exception("the sockets are served no longer")
            self._give_up(f"the command socket failed: {error!r}")
        finally:
            self._close()

    def _serve(self) -> None:
        poller = zmq.Poller()
        poller.register(self._commands, zmq.POLLIN)
        poller.register(self._mailbox.wake, zmq.POLLIN)
        if self._recorder is not None:
            poller.register(self._recorder.fileno(), zmq.POLLIN)
        period = 1.0 / STATE_RATE
        next_state = time.monotonic()
        while not self._stop_asked.is_set():
            pause = max(0.0, next_state - time.monotonic())
            poller.poll(timeout=int(pause * 1000) + 1)
            self._read()
            self._forward()
            now = time.monotonic()
            if now >= next_state:
                next_state = max(next_state + period, now)
                self._publisher.state()
        self._forward()

    def _close(self) -> None:
        self._commands.close()
        self._states_socket.close()

    def _read(self) -> None:
        """Reads all that waits, then acts on emergency stops before anything else."""
        requests: list[tuple[list[bytes], AnyRequest]] = []
        stopped = False
        for _ in range(_READ_AT_ONCE):
            try:
                identity, *frames = self._commands.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            # A REQ socket sends an empty frame first, a DEALER need not; replies mirror it.
            client = [identity, b""] if len(frames) > 1 and not frames[0] else [identity]
            try:
                if len(frames) != len(client):
                    raise ProtocolError("malformed", "send one frame a message")
                request = self._decode(identity, frames[-1])
            except ProtocolError as error:
                self._reply(client, reply_error(error.id, error.code, str(error)))
                continue
            if isinstance(request, Estop):
                self._post_stop(client, request)
                stopped = True
            else:
                requests.append((client, request))
        else:
            # A flood waits in its sender's queue; this thread must not keep the tick from running.
            time.sleep(_BREATH)
        # Whoever asks what has happened gets all that had happened when he asked.
        self._forward()
        for client, request in requests:
            self._dispatch(client, request, stopped)

    def _decode(self, client: bytes, message: bytes) -> AnyRequest:
        """Reads a request, of what a client may still ask for."""
        cost = 1.0 + len(message) // COST_SIZE
        if len(message) <= MAX_SIZE and not self._rate.allows(client, time.monotonic(), cost):
            id, kind = peek(message)
            if kind not in STOPS:
                raise ProtocolError("busy", _TOO_MANY, id)
        return decode_request(message)

    def _dispatch(self, client: list[bytes], request: AnyRequest, stopped: bool) -> None:
        match request:
            case Status():
                self._reply(client, reply_ok(request.id, self._publisher.status()))
            case Events():
                events = self._publisher.events
                found = {"events": events.since(request.since), "last": events.last}
                self._reply(client, reply_ok(request.id, found))
            case LoadPolicy():
                # Reading and checking a policy takes longer than an emergency stop may wait.
                if self._loading.acquire(blocking=False):
                    threading.Thread(target=self._load, args=(client, request), daemon=True).start()
                else:
                    self._reply(client, reply_error(request.id, "busy", _LOADING))
            case Record():
                self._record(client, request)
            case _ if stopped:
                self._reply(client, reply_error(request.id, "refused", OVERTAKEN))
            case Hold() | Disarm() | Cancel():
                self._post_stop(client, request)
            case _ if self._mailbox.post(PendingRequest(client, request)):
                self._stops.clear()
            case _:
                self._reply(client, reply_error(request.id, "busy", _BUSY))

    def _post_stop(self, client: list[bytes], request: Stop) -> None:
        """Leaves a stop for the tick, or has one that waits there answer this request too.

        Nothing was asked for since that would be different after it. So stops need not be
        refused, however many there are: few of them wait for the tick.
        """
        waiting = self._stops.get(type(request))
        if waiting is not None:
            waiting.also.append((client, request.id))
            return
        pending = self._stops[type(request)] = PendingRequest(client, request)
        self._mailbox.post(pending)

    def _record(self, client: list[bytes], request: Record) -> None:
        if self._recorder is None:
            text = "record: this daemon has no recorder"
            self._reply(client, reply_error(request.id, "unsupported", text))
        elif not self._recorder.ask(client, request.id, request.action, request.images):
            text = "record: the recorder does not take requests; ask again in a moment"
            self._reply(client, reply_error(request.id, "busy", text))

    def _load(self, client: list[bytes], request: LoadPolicy) -> None:
        pending, answer = None, Answer(client, request.id, None, "busy", _BUSY)
        try:
            pending = PendingRequest(client, request, self._load_policy(request.policy))
        except PolicyError as error:
            answer = Answer(client, request.id, None, "policy", str(error))
        except Exception as error:
            log.exception("loading a policy failed")
            text = f"policy {request.policy!r}: cannot be loaded: {error!r}"
            answer = Answer(client, request.id, None, "policy", text)
        finally:
            # Before the answer: whoever has it may ask for the next one.
            self._loading.release()
        if pending is None or not self._mailbox.post(pending):
            self._mailbox.answer(answer)

    def _forward(self) -> None:
        """Sends the answers and events that the tick left."""
        answers, events = self._mailbox.collect()
        if self._recorder is not None:
            replies, news = self._recorder.collect()
            answers += replies
            events += news
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
        try:
            self._commands.send_multipart([*client, message], zmq.NOBLOCK)
        except zmq.ZMQError as error:
            log.warning("a reply was not sent: %s", error)
