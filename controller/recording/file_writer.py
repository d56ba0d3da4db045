"""Writes recordings in a thread, so that a slow, full or removed disk never delays the recorder."""

import queue
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from inhand.controller.recording.foxglove_channels import Picture, picture_message
from inhand.controller.recording.retention import make_room
from inhand.controller.recording.writer import RecordingFile

WAITING = 20_000
"""Most records that may wait for the disk, about 60 MB; further ones are lost and counted."""

CONTINUOUS = "continuous"
"""The reason of a recording that continues until it is stopped."""

Tell = Callable[[str, dict[str, Any]], None]


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


class FileWriter(threading.Thread):
    """Writes files one after another.

    Beginnings and ends of files are always taken; records are lost when too many wait.

    Args:
        directory: directory of the files; created if it does not exist.
        limits: limits of memory and disk space.
        open_file: begins a file, given its name and the reason for it.
        tell: called for each file that was completed or could not be written.

    Attributes:
        lost: records that are in no file, as too many waited or the file could not be written.
    """

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
        self._queue: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._file: RecordingFile | None = None
        self._reason = ""
        self._failing = False
        self._begun = self._ended = 0

    @property
    def busy(self) -> bool:
        """Whether a file is not complete yet."""
        return self._begun != self._ended

    # The recorder's side.

    def begin(
        self, reason: str, messages: Sequence[bytes] = (), pictures: Sequence[Picture] = ()
    ) -> None:
        """Begins a file with these records and images."""
        self._begun += 1
        self._queue.put(("begin", (reason, messages, pictures)))

    def put(self, message: bytes, *, fresh: bool) -> None:
        """Adds a record; one that is `fresh` (a checkpoint) may begin another file."""
        self._put("fresh" if fresh else "record", message)

    def put_picture(self, picture: Picture) -> None:
        self._put("picture", picture)

    def end(self) -> None:
        self._queue.put(("end", None))

    def close(self) -> None:
        self._queue.put(("close", None))
        self.join()

    def _put(self, what: str, value: Any) -> None:
        if self._queue.qsize() < WAITING:
            self._queue.put((what, value))
        else:
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
            self._reason, messages, pictures = value
            self._open()
            for message in messages:
                self._write(message)
            for picture in pictures:
                self._show(picture)
        elif what == "end":
            self._ended += 1
            self._finish()
        elif what == "close":
            self._finish()
        elif what == "picture":
            self._show(value)
        else:
            if what == "fresh" and self._wants_another():
                self._finish()
                self._open()
            self._write(value)

    def _write(self, message: bytes) -> None:
        if self._file is None:
            self.lost += 1
        else:
            self._file.write(message)

    def _show(self, picture: Picture) -> None:
        if self._file is not None:
            self._file.show(f"/image/{picture.camera}", picture.t, picture_message(picture))

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
