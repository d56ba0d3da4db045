"""Flight recorder: keeps the last half minute of ticks in memory and writes it to files.

Records from the tick are kept as bytes. Separate threads write the files: one those of faults, one
those that clients ask for, so that no request can spoil the recording of a fault.
"""

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from inhand.controller.core.records import Event
from inhand.controller.core.requests import RecordAction
from inhand.controller.errors import RefusedError
from inhand.controller.recording.file_writer import CONTINUOUS, FileWriter, Limits, Tell
from inhand.controller.recording.foxglove_channels import Picture
from inhand.controller.recording.writer import RecordingFile

AFTER = 2.0
"""Time for which a recording continues after a fault [s]."""

PICTURES = 64_000_000
"""Largest size of the images in memory [bytes]; the oldest are removed."""


class _Tick(msgspec.Struct, array_like=True, tag="tick"):
    n: int
    t: float
    events: list[Event]


class _Checkpoint(msgspec.Struct, array_like=True, tag="checkpoint"):
    n: int
    t: float


_peek = msgspec.msgpack.Decoder(_Tick | _Checkpoint).decode
"""Decodes the beginning of a record and skips the rest."""


class _Saver:
    """The files for one kind of reason.

    Args:
        writer: writes them.

    Attributes:
        writer: writes them.
        active: the reason of the file that is being written; empty if there is none.
        until: when it ends [s]; None if it has no end.
    """

    def __init__(self, writer: FileWriter) -> None:
        self.writer = writer
        self.active = ""
        self.until: float | None = None

    def take(self, message: bytes, t: float, *, fresh: bool) -> None:
        """Adds a record of the time `t` [s]; ends the file if it is time to."""
        if self.active:
            self.writer.put(message, fresh=fresh)
        if self.until is not None and t > self.until:
            self.stop()

    def stop(self) -> None:
        """Ends the file that is being written, if there is one."""
        if self.active:
            self.writer.end()
        self.active, self.until = "", None


class FlightRecorder:
    """Keeps the latest records, and writes them on faults and on request.

    Args:
        directory: directory of the files; created if it does not exist.
        limits: limits of memory and disk space.
        open_file: begins a file, given its name and the reason for it.
        tell: called for each file that was completed or could not be written.

    Attributes:
        lost: number of records that are missing in a file because the disk was too slow or failed.
    """

    def __init__(
        self,
        directory: Path,
        limits: Limits,
        open_file: Callable[[Path, str], RecordingFile],
        tell: Tell,
    ) -> None:
        self._limits = limits
        self._faults, self._asked = (
            _Saver(FileWriter(directory, limits, open_file, tell)) for _ in range(2)
        )
        # A segment begins with a checkpoint, so that each can be replayed by itself.
        self._segments: deque[tuple[float, list[bytes]]] = deque()
        self._pictures: deque[Picture] = deque()
        self._picture_bytes = 0
        self._t = 0.0

    @property
    def lost(self) -> int:
        return self._faults.writer.lost + self._asked.writer.lost

    def start(self) -> None:
        """Starts the writing threads."""
        for saver in (self._faults, self._asked):
            saver.writer.start()

    def take(self, message: bytes) -> None:
        """Adds a record from the tick."""
        head = _peek(message)
        self.keep(message)
        fresh = isinstance(head, _Checkpoint)
        for saver in (self._faults, self._asked):
            saver.take(message, head.t, fresh=fresh)
        if isinstance(head, _Tick):
            for event in head.events:
                reason = _reason(event)
                if reason:
                    self.save(reason)

    def keep(self, message: bytes) -> None:
        """Adds a record to those in memory only."""
        head = _peek(message)
        self._t = head.t
        if isinstance(head, _Checkpoint) or not self._segments:
            self._segments.append((head.t, []))
            self._remove_old()
        self._segments[-1][1].append(message)

    def take_picture(self, picture: Picture) -> None:
        """Adds a camera's image."""
        self._pictures.append(picture)
        self._picture_bytes += len(picture.jpeg)
        horizon = picture.t - self._limits.seconds
        while self._picture_bytes > PICTURES or self._pictures[0].t < horizon:
            self._picture_bytes -= len(self._pictures.popleft().jpeg)
        for saver in (self._faults, self._asked):
            if saver.active:
                saver.writer.put_picture(picture)

    def forget_pictures(self) -> None:
        """Removes all images from memory."""
        self._pictures.clear()
        self._picture_bytes = 0

    def ask(self, action: RecordAction) -> dict[str, Any]:
        """Carries out a request; returns the members of its reply.

        Raises:
            RefusedError: the file of an earlier request is not complete yet.
        """
        asked = self._asked
        if action == "stop":
            asked.stop()
        elif not asked.active and asked.writer.busy:
            text = "record: the recording before is still being written; send it again in a moment"
            raise RefusedError("busy", text)
        elif action == "save":
            self._save(asked, "request")
        else:
            if not asked.active:
                self._begin(asked, CONTINUOUS)
            asked.until = None
        return {"recording": bool(asked.active) and asked.until is None, "lost": self.lost}

    def save(self, reason: str) -> None:
        """Writes the records in memory and those of the next `AFTER` seconds, for a fault."""
        if self._segments:
            self._save(self._faults, reason)

    def close(self) -> None:
        """Ends recording and the threads; returns when all records are written."""
        for saver in (self._faults, self._asked):
            saver.stop()
            saver.writer.close()

    def _save(self, saver: _Saver, reason: str) -> None:
        if not saver.active:
            self._begin(saver, reason)
            saver.until = self._t + AFTER
        elif saver.until is not None:
            saver.until = self._t + AFTER

    def _begin(self, saver: _Saver, reason: str) -> None:
        saver.active = reason
        messages = [message for _, segment in self._segments for message in segment]
        saver.writer.begin(reason, messages, tuple(self._pictures))

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
