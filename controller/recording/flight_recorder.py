"""The last half minute of ticks in memory, and from there into files.

What comes from the tick is kept as bytes. A thread of its own turns them into files, so that a
disk that is slow, full or gone costs records and never time.
"""

import queue
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from inhand.controller.core.records import Event
from inhand.controller.core.requests import RecordAction
from inhand.controller.recording.foxglove_channels import Picture, picture_message
from inhand.controller.recording.retention import make_room
from inhand.controller.recording.writer import RecordingFile

AFTER = 2.0
"""How long a recording of a fault goes on behind it [s]."""

WAITING = 20_000
"""Records that may wait for the disk, about 60 MB; what comes beyond is lost, and counted."""

CONTINUOUS = "continuous"
"""The reason of a recording that goes on until it is stopped."""

PICTURES = 64_000_000
"""What the pictures in memory may take [bytes]; the oldest make way."""

Tell = Callable[[str, dict[str, Any]], None]


class _Tick(msgspec.Struct, array_like=True, tag="tick"):
    n: int
    t: float
    events: list[Event]


class _Checkpoint(msgspec.Struct, array_like=True, tag="checkpoint"):
    n: int
    t: float


_peek = msgspec.msgpack.Decoder(_Tick | _Checkpoint).decode
"""The beginning of a record; the rest is not looked at."""


class Limits(msgspec.Struct, frozen=True):
    """How much is kept.

    Attributes:
        seconds: how far back the memory goes [s].
        file_size: size at which a continuous recording goes on in another file [bytes].
        total_size: size of all recordings at which the oldest are deleted [bytes].
    """

    seconds: float
    file_size: int
    total_size: int


class FlightRecorder:
    """Keeps the latest records, and writes them on faults and on request.

    Attributes:
        lost: records that the disk was too slow for.
    """

    def __init__(
        self,
        directory: Path,
        limits: Limits,
        open_file: Callable[[Path, str], RecordingFile],
        tell: Tell,
    ) -> None:
        """Starts the thread that writes.

        Args:
            directory: where the files go; made if it is not there.
            limits: how much is kept.
            open_file: begins a file, given its name and why it is made.
            tell: is told of each file that is complete, or that could not be written.
        """
        self._limits = limits
        self._writer = _Writer(directory, limits, open_file, tell)
        self._writer.start()
        # A segment begins with a checkpoint, so that each can be replayed by itself.
        self._segments: deque[tuple[float, list[bytes]]] = deque()
        self._pictures: deque[Picture] = deque()
        self._picture_bytes = 0
        self._t = 0.0
        self._active = ""
        self._until: float | None = None

    @property
    def lost(self) -> int:
        return self._writer.lost

    def take(self, message: bytes) -> None:
        """Takes a record from the tick."""
        head = _peek(message)
        self._t = head.t
        if isinstance(head, _Checkpoint) or not self._segments:
            self._segments.append((head.t, []))
            self._forget()
        self._segments[-1][1].append(message)
        if self._active:
            self._writer.put(message, fresh=isinstance(head, _Checkpoint))
        if isinstance(head, _Tick):
            for event in head.events:
                reason = _reason(event)
                if reason:
                    self._save(reason)
        if self._until is not None and head.t > self._until:
            self.stop()

    def take_picture(self, picture: Picture) -> None:
        """Takes a camera's picture."""
        self._pictures.append(picture)
        self._picture_bytes += len(picture.jpeg)
        horizon = picture.t - self._limits.seconds
        while self._picture_bytes > PICTURES or self._pictures[0].t < horizon:
            self._picture_bytes -= len(self._pictures.popleft().jpeg)
        if self._active:
            self._writer.put_picture(picture)

    def forget_pictures(self) -> None:
        """Lets go of all pictures."""
        self._pictures.clear()
        self._picture_bytes = 0

    def ask(self, action: RecordAction) -> dict[str, Any]:
        """Carries out a request; returns the members of its reply."""
        if action == "save":
            self._save("request")
        elif action == "start":
            if not self._active:
                self._begin(CONTINUOUS)
            self._until = None
        else:
            self.stop()
        return {"recording": bool(self._active) and self._until is None, "lost": self.lost}

    def stop(self) -> None:
        """Ends the file that is being written, if there is one."""
        if self._active:
            self._writer.end()
        self._active, self._until = "", None

    def close(self) -> None:
        """Ends everything; returns when it is written."""
        self.stop()
        self._writer.close()

    def _save(self, reason: str) -> None:
        """Writes what is in memory, and what follows within a short time."""
        if not self._active:
            self._begin(reason)
            self._until = self._t + AFTER
        elif self._until is not None:
            self._until = self._t + AFTER

    def _begin(self, reason: str) -> None:
        self._active = reason
        self._writer.begin(reason)
        for _, messages in self._segments:
            for message in messages:
                self._writer.put(message, fresh=False)
        for picture in self._pictures:
            self._writer.put_picture(picture)

    def _forget(self) -> None:
        """Lets go of segments that end before the memory begins."""
        horizon = self._t - self._limits.seconds
        while len(self._segments) > 1 and self._segments[1][0] <= horizon:
            self._segments.popleft()


def _reason(event: Event) -> str:
    """Why an event is worth a file; empty if it is not."""
    if event.kind == "object_dropped":
        return "drop"
    after = event.data.get("after")
    return str(after) if event.kind == "mode" and after in ("fault", "estop") else ""


class _Writer(threading.Thread):
    """Writes files one after another."""

    def __init__(
        self,
        directory: Path,
        limits: Limits,
        open_file: Callable[[Path, str], RecordingFile],
        tell: Tell,
    ) -> None:
        super().__init__(name="writer", daemon=True)
        self.lost = 0
        self._directory = directory
        self._limits = limits
        self._open_file = open_file
        self._tell = tell
        self._queue: queue.Queue[tuple[str, Any]] = queue.Queue(WAITING)
        self._file: RecordingFile | None = None
        self._reason = ""
        self._failing = False

    # The recorder's side.

    def begin(self, reason: str) -> None:
        self._put("begin", reason)

    def put(self, message: bytes, *, fresh: bool) -> None:
        """Adds a record; `fresh` ones may begin another file."""
        self._put("fresh" if fresh else "record", message)

    def put_picture(self, picture: Picture) -> None:
        self._put("picture", picture)

    def end(self) -> None:
        self._put("end", None)

    def close(self) -> None:
        self._queue.put(("close", None))
        self.join()

    def _put(self, what: str, value: Any) -> None:
        try:
            self._queue.put_nowait((what, value))
        except queue.Full:
            self.lost += 1

    # The thread's side.

    def run(self) -> None:
        while True:
            what, value = self._queue.get()
            try:
                self._do(what, value)
            except OSError as error:
                self._failed(error)
            if what == "close":
                return

    def _do(self, what: str, value: Any) -> None:
        if what == "begin":
            self._reason = value
            self._open()
            return
        if what in ("end", "close"):
            self._finish()
            return
        if what == "fresh" and self._wants_another():
            self._finish()
            self._open()
        if self._file is None:
            return
        if what == "picture":
            self._file.show(f"/image/{value.camera}", value.t, picture_message(value))
        else:
            self._file.write(value)

    def _wants_another(self) -> bool:
        """Whether the file is full, or was given up while the recording is to go on."""
        if self._file is None:
            return self._reason == CONTINUOUS
        return self._file.size >= self._limits.file_size

    def _open(self) -> None:
        path = make_room(self._directory, self._reason, self._limits.total_size)
        self._file = self._open_file(path, self._reason)

    def _finish(self) -> None:
        if self._file is None:
            return
        self._file.finish()
        told = {"file": str(self._file.path), "reason": self._reason}
        self._file, self._failing = None, False
        self._tell("recording_saved", told)

    def _failed(self, error: OSError) -> None:
        """Gives the file up; the next fault, request or checkpoint begins another."""
        if self._file is not None:
            self._file.abandon()
            self._file = None
        if not self._failing:
            where = error.filename or self._directory
            text = f"{where}: {error.strerror or error}"
            self._tell("recording_failed", {"reason": self._reason, "problem": text})
        self._failing = True
