"""The daemon's side of the recorder: starts it, asks it, hears from it."""

import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any

import msgspec

from inhand.controller.core.records import Event, EventKind
from inhand.controller.core.requests import RecordAction
from inhand.controller.ipc.request_queue import Answer
from inhand.controller.recording.flight_recorder import Limits
from inhand.controller.recording.reader import Header
from inhand.controller.recording.tick_record import Tape
from inhand.controller.system.child_process import Child

_MOST_AT_ONCE = 32
_MAX_MESSAGE = 1 << 16


class RecorderConfig(msgspec.Struct, frozen=True):
    """What the recorder is to do.

    Attributes:
        directory: where recordings go.
        limits: how much is kept.
        header: what every recording says of the daemon.
        images: addresses of the cameras' pictures.
        time: directory of the simulated time, if time is simulated.
    """

    directory: str
    limits: Limits
    header: Header
    images: tuple[str, ...] = ()
    time: str = ""


class RecorderRequest(msgspec.Struct, frozen=True):
    """A request to the recorder.

    Attributes:
        client: routing frames of whoever asked.
        id: the request's id.
        action: what to do.
        images: whether to keep the cameras' pictures from now on; None leaves it as it is.
    """

    client: list[bytes]
    id: str | int
    action: RecordAction
    images: bool | None = None


class RecorderReply(msgspec.Struct, frozen=True):
    """What the recorder says.

    Attributes:
        members: of the reply or of the event.
        ask: the request that this replies to; None for an event.
        kind: of the event.
    """

    members: dict[str, Any]
    ask: RecorderRequest | None = None
    kind: str = ""


decode_ask = msgspec.json.Decoder(RecorderRequest).decode
_decode_told = msgspec.json.Decoder(RecorderReply).decode


class RecorderLink:
    """The two lines to the recorder; both outlive it, so that it can be started again.

    Attributes:
        tape: the tick's line.
    """

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        """Takes what gives the daemon's time [s]."""
        self._now = now
        kind = socket.AF_UNIX, socket.SOCK_SEQPACKET
        tick, self._tape_end = socket.socketpair(*kind)
        self._control, self._control_end = socket.socketpair(*kind)
        self._control.setblocking(False)
        self._tick = tick
        self.tape = Tape(tick)

    def start(self, wanted: RecorderConfig, run_directory: Path) -> Child:
        """Starts the recorder's process."""
        file = run_directory / "recorder.json"
        file.write_bytes(msgspec.json.encode(wanted))
        ends = (self._tape_end.fileno(), self._control_end.fileno())
        arguments = ["-m", "inhand.controller.recording.recorder_process", "--wanted", str(file)]
        arguments += ["--tape", str(ends[0]), "--control", str(ends[1])]
        return Child("recorder", arguments, descriptors=ends, ends_itself=True)

    def fileno(self) -> int:
        """What to poll for the recorder's replies."""
        return self._control.fileno()

    def ask(
        self, client: list[bytes], id: str | int, action: RecordAction, images: bool | None = None
    ) -> bool:
        """Sends a request; False if the recorder does not take it."""
        try:
            self._control.send(msgspec.json.encode(RecorderRequest(client, id, action, images)))
        except OSError:
            return False
        return True

    def collect(self) -> tuple[list[Answer], list[Event]]:
        """Takes what the recorder said."""
        answers: list[Answer] = []
        events: list[Event] = []
        with suppress(BlockingIOError):
            for _ in range(_MOST_AT_ONCE):
                told = _decode_told(self._control.recv(_MAX_MESSAGE))
                if told.ask is not None:
                    answers.append(Answer(told.ask.client, told.ask.id, told.members))
                else:
                    kind: EventKind = (
                        "recording_saved" if told.kind == "recording_saved" else "recording_failed"
                    )
                    events.append(Event(self._now(), kind, told.members))
        return answers, events

    def close(self) -> None:
        """Hangs up; the recorder completes its file and ends."""
        for line in (self._tick, self._tape_end, self._control, self._control_end):
            line.close()
