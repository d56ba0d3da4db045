"""The daemon's connection to the recorder process: starts it, sends requests, reads replies."""

import os
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any, Self

import msgspec

from inhand.controller.core.records import Event, EventKind
from inhand.controller.core.requests import RecordAction
from inhand.controller.ipc.request_queue import Answer
from inhand.controller.recording.file_writer import Limits
from inhand.controller.recording.reader import Header
from inhand.controller.recording.record_ring import make_memory
from inhand.controller.recording.tick_record import RecordSender
from inhand.controller.system.child_process import Child

_MOST_AT_ONCE = 32
_MAX_MESSAGE = 1 << 16

GOODBYE = b"goodbye"
"""Tells the recorder that the daemon ends in order. Without it, the recorder saves a recording."""


class RecorderConfig(msgspec.Struct, frozen=True):
    """Configuration of the recorder.

    Attributes:
        directory: directory of the recordings.
        limits: limits of memory and disk space.
        header: header of each recording.
        images: addresses of the cameras' preview images.
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
        client: routing frames of the client.
        id: the request's id.
        action: what to do.
        images: whether to record the cameras' images from now on; None: no change.
    """

    client: list[bytes]
    id: str | int
    action: RecordAction
    images: bool | None = None


class RecorderReply(msgspec.Struct, frozen=True):
    """A reply or an event of the recorder.

    Attributes:
        members: members of the reply or of the event.
        ask: the request that this replies to; None for an event.
        kind: kind of the event.
        refused: why the request was refused; empty if it was not.
        lost: records that are missing in the files until now.
    """

    members: dict[str, Any]
    ask: RecorderRequest | None = None
    kind: str = ""
    refused: str = ""
    lost: int = 0


decode_recorder_request = msgspec.json.Decoder(RecorderRequest).decode
_decode_reply = msgspec.json.Decoder(RecorderReply).decode


class RecorderLink:
    """Socket pairs and memory of the recorder; they outlive it, so that it can be restarted.

    Args:
        tape: the tick's end and the recorder's end of the socket pair for records.
        control: the server's end and the recorder's end of the pair for requests and replies.
        memory: descriptor of the memory for the latest records.
        now: returns the daemon's time [s].

    Attributes:
        tape: sends the tick's records.
    """

    def __init__(
        self,
        tape: tuple[socket.socket, socket.socket],
        control: tuple[socket.socket, socket.socket],
        memory: int,
        now: Callable[[], float],
    ) -> None:
        self._now = now
        self._memory = memory
        self._tick, self._tape_end = tape
        self._control, self._control_end = control
        self._control.setblocking(False)
        self.tape = RecordSender(self._tick)

    @classmethod
    def open(cls, now: Callable[[], float] = monotonic) -> Self:
        """Makes the socket pairs.

        Args:
            now: returns the daemon's time [s].
        """
        kind = socket.AF_UNIX, socket.SOCK_SEQPACKET
        return cls(socket.socketpair(*kind), socket.socketpair(*kind), make_memory(), now)

    def start(self, wanted: RecorderConfig, run_directory: Path) -> Child:
        """Starts the recorder's process."""
        file = run_directory / "recorder.json"
        file.write_bytes(msgspec.json.encode(wanted))
        ends = (self._tape_end.fileno(), self._control_end.fileno(), self._memory)
        arguments = ["-m", "inhand.controller.recording.recorder_process", "--wanted", str(file)]
        arguments += ["--tape", str(ends[0]), "--control", str(ends[1]), "--memory", str(ends[2])]
        return Child("recorder", arguments, descriptors=ends, ends_itself=True).start()

    def fileno(self) -> int:
        """File descriptor to poll for the recorder's replies."""
        return self._control.fileno()

    def ask(
        self, client: list[bytes], id: str | int, action: RecordAction, images: bool | None = None
    ) -> bool:
        """Sends a request; False if it cannot be sent now."""
        try:
            self._control.send(msgspec.json.encode(RecorderRequest(client, id, action, images)))
        except OSError:
            return False
        return True

    def collect(self) -> tuple[list[Answer], list[Event]]:
        """Takes the recorder's replies and events."""
        answers: list[Answer] = []
        events: list[Event] = []
        with suppress(BlockingIOError):
            for _ in range(_MOST_AT_ONCE):
                reply = _decode_reply(self._control.recv(_MAX_MESSAGE))
                self.tape.unwritten = reply.lost
                if reply.ask is not None and reply.refused:
                    client, id = reply.ask.client, reply.ask.id
                    answers.append(Answer(client, id, None, "busy", reply.refused))
                elif reply.ask is not None:
                    answers.append(Answer(reply.ask.client, reply.ask.id, reply.members))
                else:
                    kind: EventKind = (
                        "recording_saved" if reply.kind == "recording_saved" else "recording_failed"
                    )
                    events.append(Event(self._now(), kind, reply.members))
        return answers, events

    def close(self, *, orderly: bool = True) -> None:
        """Closes the connection; the recorder then completes its file and ends.

        Args:
            orderly: whether the daemon ends as it was told to; otherwise the recorder saves what it
                has in memory.
        """
        if orderly:
            with suppress(OSError):
                self._control.send(GOODBYE)
        for end in (self._tick, self._tape_end, self._control, self._control_end):
            end.close()
        if self._memory >= 0:
            os.close(self._memory)
            self._memory = -1
