"""Reads recordings (MCAP files) for replay and export.

Beside the channels for viewers, a recording contains the original records, from which
`inhand replay` runs it again; see `docs/recording.md`.
"""

import platform
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
from mcap.exceptions import McapError
from mcap.reader import NonSeekingReader, SeekingReader
from zstandard import ZstdError

from inhand.controller.config.settings import ControlSettings
from inhand.controller.errors import RecordingError
from inhand.controller.recording import revisions
from inhand.controller.recording.chunk_sizes import check_chunks
from inhand.controller.recording.tick_record import Record, TickRecord, decode

FORMAT = 1
"""Version of the recording format; readers refuse other versions."""

TICKS, CHECKPOINTS = "/inhand/ticks", "/inhand/checkpoints"
"""Topics of the original records, encoded as MessagePack."""

DAMAGED = (
    *(McapError, EOFError, struct.error, ZstdError, ValueError, OverflowError, LookupError),
    *(TypeError, AttributeError, AssertionError, MemoryError, msgspec.MsgspecError),
)
"""Exceptions of the reader for a file that is cut off, changed, or not an MCAP file."""

METADATA = "inhand"
"""Name of the metadata record that describes the recording."""


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The data that a replay needs beside the records.

    Attributes:
        format: see `FORMAT`.
        hand: text of the hand's description.
        object: text of the object's description.
        rig: text of the cameras' description.
        control: settings of the controller.
        readonly: whether requests that move the hand were refused.
        policy_directory: directory of the policies.
        monitors: whether policies had the monitors beside their files; False in older recordings.
        versions: versions of Python, processor and packages; if they are equal, a replay is equal
            to the bit.
    """

    format: int = FORMAT
    hand: str
    object: str
    rig: str
    control: ControlSettings
    readonly: bool
    policy_directory: str
    versions: dict[str, str]
    monitors: bool = False


def versions() -> dict[str, str]:
    """Versions on which the exact results depend: Python, processor, packages, own results."""
    packages = ("inhand", "numpy", "onnxruntime", "opencv-python-headless")
    return {
        "python": platform.python_version(),
        "processor": _processor(),
        **{name: version(name) for name in packages},
        revisions.NAME: revisions.revision(),
    }


def _processor() -> str:
    with suppress(OSError), open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


@dataclass(frozen=True)
class Recording:
    """A recording to read.

    Attributes:
        path: the file.
        header: data for the replay.
        reason: why it was made.
        begun: time at which it began, ISO 8601.
        monotonic_to_utc: offset from the times in the records to UTC [s].
    """

    path: Path
    header: Header
    reason: str
    begun: str
    monotonic_to_utc: float

    def records(self) -> Iterator[Record]:
        """Ticks and checkpoints in their original order.

        Raises:
            RecordingError: a record is damaged.
        """
        for topic, _, data in _messages(self.path):
            if topic in (TICKS, CHECKPOINTS):
                try:
                    record = decode(data)
                except DAMAGED as error:
                    raise _damaged(self.path, error) from error
                yield record

    def messages(self) -> Iterator[tuple[str, int, dict[str, Any]]]:
        """Topic, UTC [ns] and content of the messages of the viewers' channels, in file order."""
        for topic, stamp, data in _messages(self.path):
            if topic not in (TICKS, CHECKPOINTS):
                try:
                    content = msgspec.json.decode(data)
                except ValueError as error:
                    raise _damaged(self.path, error) from error
                yield topic, stamp, content

    def part(self, start: float, end: float, every: int = 1) -> Iterator[TickRecord]:
        """Every `every`-th tick with `start` <= t < `end` [s]; other parts are not read.

        Raises:
            RecordingError: a record is damaged, or the file is incomplete.
        """
        first, last = (int((t + self.monotonic_to_utc) * 1e9) for t in (start, end))
        try:
            with self.path.open("rb") as file:
                reader = SeekingReader(file).iter_messages(
                    [TICKS], starting_at=max(0, first), ending_before=max(0, last)
                )
                for _, _, message in reader:
                    if message.sequence % every == 0:
                        record = decode(message.data)
                        if not isinstance(record, TickRecord):
                            raise ValueError("a tick is something else")
                        yield record
        except DAMAGED as error:
            raise _damaged(self.path, error) from error

    def span(self) -> tuple[float, float]:
        """Times of the first and the last message [s].

        Raises:
            RecordingError: the file is incomplete; `inhand replay` can still read it.
        """
        with suppress(*DAMAGED), self.path.open("rb") as file:
            summary = SeekingReader(file).get_summary()
            if summary is not None and summary.statistics is not None:
                statistics = summary.statistics
                offset = self.monotonic_to_utc
                return (
                    statistics.message_start_time / 1e9 - offset,
                    statistics.message_end_time / 1e9 - offset,
                )
        raise RecordingError(
            f"recording {self.path}: it is incomplete, so times in it cannot be found; "
            "`inhand recording repair` writes a complete copy"
        )


def open_recording(path: str | Path) -> Recording:
    """Opens a recording.

    Raises:
        RecordingError: the file cannot be read, or is not a recording of a supported format.
    """
    path = Path(path)
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise RecordingError(f"recording {path}: not a regular file")
    try:
        with path.open("rb") as file:
            check_chunks(file)
            file.seek(0)
            for metadata in NonSeekingReader(file).iter_metadata():
                if metadata.name == METADATA:
                    return _parse(path, metadata.metadata)
    except OSError as error:
        raise RecordingError(f"recording {path}: {error.strerror}") from error
    except DAMAGED as error:
        reason = _one_line(error)
        raise RecordingError(f"recording {path}: not a recording of inhandd ({reason})") from error
    raise RecordingError(f"recording {path}: not a recording of inhandd")


def _parse(path: Path, described: dict[str, str]) -> Recording:
    found = msgspec.json.decode(described["header"]).get("format")
    if found != FORMAT:
        raise RecordingError(
            f"recording {path}: has format {found}, this program reads {FORMAT}; use the version "
            "that made it"
        )
    header = msgspec.json.decode(described["header"], type=Header)
    offset = float(described["monotonic_to_utc"])
    return Recording(path, header, described["reason"], described["begun"], offset)


def _damaged(path: Path, error: Exception) -> RecordingError:
    return RecordingError(f"recording {path}: a record is damaged ({_one_line(error)})")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _messages(path: Path) -> Iterator[tuple[str, int, bytes]]:
    with path.open("rb") as file:
        reader = NonSeekingReader(file).iter_messages(log_time_order=False)
        # An incomplete file may end in the middle of a message.
        with suppress(*DAMAGED):
            for _, channel, message in reader:
                yield channel.topic, message.log_time, message.data
