"""The recorder process: receives records from the tick and writes files without delaying the tick.

Run by the daemon as `python -m inhand.controller.recording.recorder_process`; it ends when its
parent process ends.
"""

import signal
import socket
import time
from argparse import ArgumentParser
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import zmq

from inhand.controller.errors import RefusedError
from inhand.controller.recording.flight_recorder import FlightRecorder
from inhand.controller.recording.foxglove_channels import Picture, Translator
from inhand.controller.recording.record_ring import RecordRing
from inhand.controller.recording.recorder_link import (
    GOODBYE,
    RecorderConfig,
    RecorderReply,
    decode_recorder_request,
)
from inhand.controller.recording.tick_record import MAX_RECORD
from inhand.controller.recording.writer import RecordingFile
from inhand.controller.system.realtime import lower_priority
from inhand.hardware.model.hand import parse_hand
from inhand.perception.camera.preview import TOPIC, decode_header
from inhand.perception.parent import Parent
from inhand.perception.simulated_time import TimePage

KILLED, RECORDER_KILLED = "killed", "recorder-killed"
"""Reasons of recordings: the daemon ended without a word; the recorder before this one did."""

_PERIOD = 20
"""Period of reading the records [ms].

The socket is read periodically: to wake a waiting process would take the tick more time than to
send the record."""


class RecorderProcess:
    """Runs a flight recorder with the daemon's two sockets.

    Args:
        wanted: configuration of the recorder.
        tape: socket that receives the tick's records.
        control: socket that receives the server's requests and sends replies and events.
        ring: memory of the latest records, in which a recorder before may have left some.
        now: returns the daemon's time [s].
    """

    def __init__(
        self,
        wanted: RecorderConfig,
        tape: socket.socket,
        control: socket.socket,
        ring: RecordRing,
        now: Callable[[], float],
    ) -> None:
        self._ring, self._orderly = ring, False
        self._tape, self._control = tape, control
        self._wanted = wanted
        self._now = now
        # Records are received here and copied: `recv` would allocate the largest size each time and
        # shrink it, which wastes memory and takes more time than the copy.
        self._buffer = memoryview(bytearray(MAX_RECORD))
        self._poller = zmq.Poller()
        self._pictures: zmq.Socket[bytes] | None = None
        self._hand = parse_hand(wanted.header.hand.encode(), "of the daemon")
        self._recorder = FlightRecorder(
            Path(wanted.directory), wanted.limits, self._open, self._tell
        )

    def run(self) -> None:
        """Records until the daemon ends or closes the sockets, then completes the current file."""
        parent = Parent()
        self._recorder.start()
        self._continue()
        for line in (self._tape, self._control):
            line.setblocking(False)
        self._poller.register(self._control.fileno(), zmq.POLLIN)
        while parent.alive:
            self._poller.poll(_PERIOD)
            # Records first: a request refers to all records sent before it.
            if not self._take_all():
                break
            self._answer_requests()
            self._take_pictures()
        # The daemon may have ended since the last look, or before this process had started.
        self._take_all()
        self._answer_requests()
        if not self._orderly:
            self._recorder.save(KILLED)
        self._recorder.close()
        self._ring.clear()

    def _continue(self) -> None:
        """Saves what a recorder before, which was killed, has left in memory."""
        for record in self._ring.records():
            with suppress(msgspec.DecodeError):
                self._recorder.keep(record)
        self._recorder.save(RECORDER_KILLED)

    def _take_all(self) -> bool:
        """Receives the waiting records; False once the daemon has closed the socket."""
        with suppress(BlockingIOError):
            while True:
                size = self._tape.recv_into(self._buffer)
                if not size:
                    return False
                record = bytes(self._buffer[:size])
                self._ring.append(record)
                self._recorder.take(record)
        return True

    def _answer_requests(self) -> None:
        with suppress(BlockingIOError):
            while message := self._receive():
                if message == GOODBYE:
                    self._orderly = True
                    continue
                ask = decode_recorder_request(message)
                try:
                    members = self._recorder.ask(ask.action)
                except RefusedError as error:
                    self._send(RecorderReply(ask=ask, members={}, refused=str(error)))
                    continue
                self._set_subscription(False if ask.action == "stop" else ask.images)
                members["images"] = self._pictures is not None
                self._send(RecorderReply(ask=ask, members=members))

    def _receive(self) -> bytes:
        """The next request; empty once the daemon has closed the socket."""
        try:
            return self._control.recv(MAX_RECORD)
        except ConnectionResetError:
            # The daemon closed it without reading all replies, and what it sent before follows.
            return self._control.recv(MAX_RECORD)

    def _set_subscription(self, wanted: bool | None) -> None:
        """Subscribes to the cameras' images or unsubscribes; cameras encode them only on demand."""
        if wanted and self._pictures is None:
            self._pictures = zmq.Context.instance().socket(zmq.SUB)
            self._pictures.set(zmq.RCVHWM, 64)
            self._pictures.subscribe(TOPIC)
            for address in self._wanted.images:
                self._pictures.connect(address)
            self._poller.register(self._pictures, zmq.POLLIN)
        elif wanted is False and self._pictures is not None:
            self._poller.unregister(self._pictures)
            self._pictures.close(linger=0)
            self._pictures = None
            self._recorder.forget_pictures()

    def _take_pictures(self) -> None:
        if self._pictures is None:
            return
        with suppress(zmq.Again):
            while True:
                _, header, jpeg = self._pictures.recv_multipart(zmq.NOBLOCK)
                image_header = decode_header(header)
                self._recorder.take_picture(Picture(image_header.camera, image_header.t, jpeg))

    def _open(self, path: Path, reason: str) -> RecordingFile:
        offset = time.time() - self._now()
        return RecordingFile.open(path, self._wanted.header, Translator(self._hand, offset), reason)

    def _tell(self, kind: str, data: dict[str, Any]) -> None:
        """Sends an event; called by the writing thread."""
        self._send(RecorderReply(kind=kind, members=data))

    def _send(self, reply: RecorderReply) -> None:
        # When the daemon ends, its end of the socket is closed.
        with suppress(OSError):
            whole = msgspec.structs.replace(reply, lost=self._recorder.lost)
            self._control.send(msgspec.json.encode(whole))


def main() -> None:
    """Entry point of the process."""
    # Signals are ignored: the daemon ends first, and its last records must still be written.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    parser = ArgumentParser(
        prog="python -m inhand.controller.recording.recorder_process", description=__doc__
    )
    parser.add_argument("--wanted", required=True, help="configuration file of the recorder")
    parser.add_argument(
        "--tape", type=int, required=True, help="file descriptor of the socket for records"
    )
    parser.add_argument(
        "--control", type=int, required=True, help="file descriptor of the socket for requests"
    )
    parser.add_argument(
        "--memory", type=int, required=True, help="file descriptor of the memory for records"
    )
    arguments = parser.parse_args()
    lower_priority()
    wanted = msgspec.json.decode(Path(arguments.wanted).read_bytes(), type=RecorderConfig)
    tape, control = (socket.socket(fileno=fd) for fd in (arguments.tape, arguments.control))
    now = TimePage.open(Path(wanted.time)).now if wanted.time else time.monotonic
    RecorderProcess(wanted, tape, control, RecordRing.of(arguments.memory), now).run()


if __name__ == "__main__":
    main()
