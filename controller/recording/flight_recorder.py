"""Flight recorder: keeps the last half minute of ticks in memory and writes it to files.

Records from the tick are kept as bytes. A separate thread writes the files, so that a slow, full or
removed disk loses records but never delays the tick.
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
"""Time for which a recording continues after a fault [s]."""

WAITING = 20_000
"""Most records that may wait for the disk, about 60 MB; further ones are lost and counted."""

CONTINUOUS = "continuous"
"""The reason of a recording that continues until it is stopped."""

PICTURES = 64_000_000
"""Largest size of the images in memory [bytes]; the oldest are removed."""

Tell = Callable[[str, dict[str, Any]], None]


class _Tick(msgspec.Struct, array_like=True, tag="tick"):
    n: int
    t: float
    events: list[Event]


class _Checkpoint(msgspec.Struct, array_like=True, tag="checkpoint"):
    n: int
    t: float


_peek = msgspec.msgpack.Decoder(_Tick | _Checkpoint).decode
"""Decodes the beginning of a record and skips the rest."""


class Limits(msgspec.Struct, frozen=True):
    """Limits of memory and disk space.

    Attributes:
        seconds: length of the recording in memory [s].
        file_size: size at which a continuous recording continues in another file [bytes].
        total_size: total size of all recordings above which the oldest are deleted [bytes].
    """

    seconds: float
    file_size: int
    total_size: int


class FlightRecorder:
    """Keeps the latest records, and writes them on faults and on request.

    Args:
        directory: directory of the files; created if it does not exist.
        limits: limits of memory and disk space.
        open_file: begins a file, given its name and the reason for it.
        tell: called for each file that was completed or could not be written.

    Attributes:
        lost: number of records lost because the disk was too slow.
    """

    def __init__(
        self,
        directory: Path,
        limits: Limits,
        open_file: Callable[[Path, str], RecordingFile],
        tell: Tell,
    ) -> None:
        self._limits = limits
        self._writer = _Writer(directory, limits, open_file, tell)
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

    def start(self) -> None:
        """Starts the writing thread."""
        self._writer.start()

    def take(self, message: bytes) -> None:
        """Adds a record from the tick."""
        head = _peek(message)
        self._t = head.t
        if isinstance(head, _Checkpoint) or not self._segments:
            self._segments.append((head.t, []))
            self._remove_old()
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
        """Adds a camera's image."""
        self._pictures.append(picture)
        self._picture_bytes += len(picture.jpeg)
        horizon = picture.t - self._limits.seconds
        while self._picture_bytes > PICTURES or self._pictures[0].t < horizon:
            self._picture_bytes -= len(self._pictures.popleft().jpeg)
        if self._active:
            self._writer.put_picture(picture)

    def forget_pictures(self) -> None:
        """Removes all images from memory."""
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
        """Ends recording and the thread; returns when all records are written."""
        self.stop()
        self._writer.close()

    def _save(self, reason: str) -> None:
        """Writes the records in memory, and those of the next `AFTER` seconds."""
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

    def _remove_old(self) -> None:
        """Removes segments that are older than `limits.seconds`."""
        horizon = self._t - self._limits.seconds
        while len(self._segments) > 1 and self._segments[1][0] <= horizon:
            self._segments.popleft()


def _reason(event: Event) -> str:
    """The reason to save a recording for an event; empty if there is none."""
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
        """Adds a record; one that is `fresh` (a checkpoint) may begin another file."""
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
        """Whether the file is full, or was abandoned during a continuous recording."""
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
        data = {"file": str(self._file.path), "reason": self._reason}
        self._file, self._failing = None, False
        self._tell("recording_saved", data)

    def _failed(self, error: OSError) -> None:
        """Abandons the file; the next fault, request or checkpoint begins another one."""
        if self._file is not None:
            self._file.abandon()
            self._file = None
        if not self._failing:
            where = error.filename or self._directory
            text = f"{where}: {error.strerror or error}"
            self._tell("recording_failed", {"reason": self._reason, "problem": text})
        self._failing = True
