"""The recorder as a process: records in from the tick, files out, so that no disk delays a tick.

Run by the daemon as `python -m inhand.controller.recording.recorder_process`; ends when its parent
does.
"""

import signal
import socket
import time
from argparse import ArgumentParser
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import zmq

from inhand.controller.recording.flight_recorder import FlightRecorder
from inhand.controller.recording.foxglove_channels import Picture, Translator
from inhand.controller.recording.recorder_link import RecorderConfig, RecorderReply, decode_ask
from inhand.controller.recording.writer import RecordingFile
from inhand.controller.system.realtime import give_way
from inhand.hardware.model.hand import parse_hand
from inhand.perception.camera.preview import TOPIC, decode_header
from inhand.perception.parent import Parent
from inhand.perception.simulated_time import TimePage

MAX_RECORD = 1 << 20
"""No record is larger [bytes]."""

_PERIOD = 20
"""Between two looks at the tick's line [ms]. Nobody waits at it, as waking somebody costs the tick
more than the rest of its sending."""


class RecorderProcess:
    """Feeds a flight recorder from the daemon's two lines.

    Args:
        wanted: where and how much to record.
        tape: the tick's line; records come from it.
        control: the server's line; requests come from it, replies and news go to it.
    """

    def __init__(self, wanted: RecorderConfig, tape: socket.socket, control: socket.socket) -> None:
        self._tape, self._control = tape, control
        self._wanted = wanted
        self._now = TimePage(Path(wanted.time)).now if wanted.time else time.monotonic
        # A record is copied out of here: what `recv` makes for the largest record and then cuts
        # to size keeps whole pages to itself, and system calls cost more than the copy.
        self._buffer = memoryview(bytearray(MAX_RECORD))
        self._poller = zmq.Poller()
        self._pictures: zmq.Socket[bytes] | None = None
        self._hand = parse_hand(wanted.header.hand.encode(), "of the daemon")
        self._recorder = FlightRecorder(
            Path(wanted.directory), wanted.limits, self._open, self._tell
        )

    def run(self) -> None:
        """Records until the daemon is gone or hangs up, and completes what is being written."""
        parent = Parent()
        for line in (self._tape, self._control):
            line.setblocking(False)
        self._poller.register(self._control.fileno(), zmq.POLLIN)
        while parent.alive:
            self._poller.poll(_PERIOD)
            # A request is about all that happened before it.
            if not self._take_all():
                break
            self._listen()
            self._take_pictures()
        self._recorder.close()

    def _take_all(self) -> bool:
        """Takes the records that wait; False once the daemon has hung up."""
        with suppress(BlockingIOError):
            while True:
                size = self._tape.recv_into(self._buffer)
                if not size:
                    return False
                self._recorder.take(bytes(self._buffer[:size]))
        return True

    def _listen(self) -> None:
        with suppress(BlockingIOError):
            while message := self._control.recv(MAX_RECORD):
                ask = decode_ask(message)
                self._look(False if ask.action == "stop" else ask.images)
                members = self._recorder.ask(ask.action)
                members["images"] = self._pictures is not None
                self._send(RecorderReply(ask=ask, members=members))

    def _look(self, wanted: bool | None) -> None:
        """Begins or ends to take the cameras' pictures, which they make only if somebody does."""
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
                about = decode_header(header)
                self._recorder.take_picture(Picture(about.camera, about.t, jpeg))

    def _open(self, path: Path, reason: str) -> RecordingFile:
        offset = time.time() - self._now()
        return RecordingFile(path, self._wanted.header, Translator(self._hand, offset), reason)

    def _tell(self, kind: str, data: dict[str, Any]) -> None:
        """Called by the thread that writes."""
        self._send(RecorderReply(kind=kind, members=data))

    def _send(self, told: RecorderReply) -> None:
        # Nobody listens any more when the daemon ends.
        with suppress(OSError):
            self._control.send(msgspec.json.encode(told))


def main() -> None:
    """Entry point of the process."""
    # The daemon ends first, and what it did last is worth most.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    parser = ArgumentParser(
        prog="python -m inhand.controller.recording.recorder_process", description=__doc__
    )
    parser.add_argument("--wanted", required=True, help="file that says what to record, and where")
    parser.add_argument("--tape", type=int, required=True, help="descriptor of the tick's line")
    parser.add_argument("--control", type=int, required=True, help="descriptor of the server's")
    arguments = parser.parse_args()
    give_way()
    wanted = msgspec.json.decode(Path(arguments.wanted).read_bytes(), type=RecorderConfig)
    lines = (socket.socket(fileno=fd) for fd in (arguments.tape, arguments.control))
    RecorderProcess(wanted, *lines).run()


if __name__ == "__main__":
    main()
