"""The daemon's own loop on a kinematic hand, in virtual time, with all that observes it."""

import json
import socket
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.lone_daemon import LoneHand
from inhand.controller.core.controller import Controller
from inhand.controller.core.records import Event
from inhand.controller.estimation.fusion import PoseFilter
from inhand.controller.ipc.protocol import ProtocolError, decode_request, reply_error, reply_ok
from inhand.controller.ipc.request_queue import PendingRequest, RequestQueue
from inhand.controller.ipc.telemetry import describe
from inhand.controller.recording.foxglove_channels import Translator
from inhand.controller.recording.tick_record import RecordSender, TickRecord, decode
from inhand.controller.runtime.loop import TickLoop
from inhand.controller.safety.modes import Mode
from inhand.controller.system.clock import VirtualClock
from inhand.controller.system.ticker import Ticker
from inhand.perception.records import TagCorners
from tests.controller.bench_hand import BLOCK, HAND, TICK, learned
from tests.controller.kinematic_hand import KinematicHand
from tests.controller.recorded import OFFSET, RIG


class Beats(Ticker):
    """A ticker that ends after so many ticks, and goes on from there.

    Attributes:
        left: ticks until the next end.
    """

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(clock, TICK)
        self.left = 0
        self._beats = super().__iter__()

    def __iter__(self) -> Iterator[float]:
        yield from islice(self._beats, self.left)


class Looped:
    """Loop, request_queue and tape as in the daemon; the sockets' thread is the test.

    Attributes:
        loop: the real one.
        request_queue: the real one.
        events: all that were told.
        records: what the recorder was sent.
    """

    def __init__(self, directory: Path) -> None:
        clock = VirtualClock(50.0)
        self.controller = Controller[TagCorners](
            HAND, BLOCK, PoseFilter(BLOCK, RIG, hand=HAND), policy=learned(directory), seed=1
        )
        hand = LoneHand(KinematicHand(HAND, BLOCK, RIG), clock)
        hand.controller = self.controller
        line, self._end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._line = line
        self._beats = Beats(clock)
        self.request_queue = RequestQueue().open()
        self.loop = TickLoop(
            self.controller, hand, hand, self.request_queue, self._beats, RecordSender(line)
        )
        self.events: list[Event] = []
        self.records: list[TickRecord] = []
        self._translator = Translator(HAND, OFFSET)

    def run(self, ticks: int = 1) -> list[dict[str, Any]]:
        """Ticks; returns the replies that came of it, and reads all that observers are told."""
        self._beats.left = ticks
        try:
            self.loop.run()
        finally:
            self._record()
        return self.collect()

    def collect(self) -> list[dict[str, Any]]:
        """The replies that wait."""
        answers, events = self.request_queue.collect()
        self.events += events
        replies: list[dict[str, Any]] = []
        for answer in answers:
            for _, id in ((answer.client, answer.id), *answer.also):
                if answer.result is None:
                    replies.append(json.loads(reply_error(id, answer.code, answer.message)))
                else:
                    replies.append(json.loads(reply_ok(id, answer.result)))
        snapshot = self.request_queue.snapshot
        if snapshot is not None:
            json.loads(msgspec.json.encode(describe(snapshot, snapshot.t)))
        return replies

    def say(self, message: bytes) -> list[dict[str, Any]]:
        """All replies to a message, as the server gives them, and one tick."""
        try:
            request = decode_request(message)
        except ProtocolError as error:
            return [json.loads(reply_error(error.id, error.code, str(error))), *self.run()]
        assert self.request_queue.post(PendingRequest([b"me"], request))
        return self.run()

    def ask(self, type: str, **members: object) -> dict[str, Any]:
        """The one reply to a request."""
        said = json.dumps({"v": 1, "id": 1, "type": type, **members}).encode()
        (reply,) = self.say(said)
        return reply

    def start(self, mode: Mode) -> None:
        """From off to a mode."""
        self.run(30)
        kinds = {Mode.HOLDING: ["enable"], Mode.READY: ["enable", "arm"]}
        kinds[Mode.RUNNING] = [*kinds[Mode.READY], "random_goals"]
        for kind in kinds.get(mode, []):
            assert self.ask(kind)["ok"], kind
        assert self.controller.mode == mode

    def _record(self) -> None:
        """Does with the records what the recorder does."""
        while self._waiting():
            record = decode(self._end.recv(1 << 20))
            if not isinstance(record, TickRecord):
                continue
            self.records.append(record)
            for _, t, message in self._translator.messages(record):
                json.dumps(self._translator.whole(t, message), allow_nan=False)

    def _waiting(self) -> bool:
        try:
            return bool(self._end.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except BlockingIOError:
            return False

    def close(self) -> None:
        self._line.close(), self._end.close()
        self.request_queue.close()
