"""Recordings as files: MCAP, written by the recorder, read by replay and export.

Beside the channels that people look at, a recording holds the records themselves, from which
`inhand replay` runs it again; see `docs/recording.md`.
"""

import os
import platform
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
from mcap.exceptions import McapError
from mcap.reader import NonSeekingReader, SeekingReader
from mcap.writer import CompressionType, Writer
from zstandard import ZstdError

from controller.channels import SCHEMAS, Message, Translator, schema_of
from controller.errors import RecordingError
from controller.settings import ControlSettings
from controller.tape import Record, TickRecord, decode

FORMAT = 1
"""Version of what a recording holds; readers refuse others."""

TICKS, CHECKPOINTS = "/inhand/ticks", "/inhand/checkpoints"
"""The topics of the records themselves, MessagePack."""

_DAMAGED = (McapError, EOFError, struct.error, ZstdError)
"""What a file that ends anywhere, or is something else, makes the reader raise."""

_METADATA = "inhand"
_PART = ".part"
_CHUNK = 256 * 1024


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What a replay needs beside the records.

    Attributes:
        format: see `FORMAT`.
        hand: text of the hand's description.
        object: text of the object's description.
        rig: text of the cameras' description.
        control: settings of the controller.
        readonly: whether requests that move the hand were refused.
        policy_directory: where the policies were.
        versions: of what the numbers depend on; equal bits are promised for equal versions.
    """

    format: int = FORMAT
    hand: str
    object: str
    rig: str
    control: ControlSettings
    readonly: bool
    policy_directory: str
    versions: dict[str, str]


def versions() -> dict[str, str]:
    """What decides the bits of a result here."""
    packages = ("inhand", "numpy", "onnxruntime", "opencv-python-headless")
    return {
        "python": platform.python_version(),
        "processor": _processor(),
        **{name: version(name) for name in packages},
    }


def _processor() -> str:
    with suppress(OSError), open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


class RecordingFile:
    """A recording that is being written; it gets its name when it is complete.

    Attributes:
        path: its name in the end.
        size: bytes written so far.
    """

    def __init__(self, path: Path, header: Header, translator: Translator, reason: str) -> None:
        """Begins the file; raises OSError as everything here does."""
        self.path = path
        self._part = path.with_name(path.name + _PART)
        self._translator = translator
        self._channels: dict[str, int] = {}
        self._file = self._part.open("wb")
        self._writer = Writer(self._file, _CHUNK, compression=CompressionType.ZSTD)
        self._writer.start(profile="", library="inhand")
        begun = datetime.now(UTC).isoformat(timespec="milliseconds")
        described = {"header": msgspec.json.encode(header).decode(), "reason": reason}
        described |= {"begun": begun, "monotonic_to_utc": repr(translator.offset)}
        self._writer.add_metadata(_METADATA, described)
        for topic in SCHEMAS:
            self._channel(topic)

    @property
    def size(self) -> int:
        return self._file.tell()

    def write(self, message: bytes) -> None:
        """Writes a record, as it came from the tick, and the messages made from it."""
        record = decode(message)
        stamp = self._translator.stamp(record.t)
        if isinstance(record, TickRecord):
            self._add(TICKS, stamp, message, record.n)
            for topic, t, shown in self._translator.messages(record):
                self.show(topic, t, shown, record.n)
        else:
            self._add(CHECKPOINTS, stamp, message, record.n)

    def show(self, topic: str, t: float, message: Message, number: int = 0) -> None:
        """Writes a message for people; `t` [s] on CLOCK_MONOTONIC."""
        data = msgspec.json.encode(self._translator.whole(t, message))
        self._add(topic, self._translator.stamp(t), data, number)

    def finish(self) -> None:
        """Completes the file and gives it its name."""
        # mcap gives this method no types; so below.
        self._writer.finish()  # type: ignore[no-untyped-call]
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._part.rename(self.path)

    def abandon(self) -> None:
        """Closes what cannot be completed; `read` still reads what of it is whole."""
        with suppress(OSError):
            self._file.close()

    def _add(self, topic: str, stamp: int, data: bytes, number: int) -> None:
        self._writer.add_message(self._channel(topic), stamp, data, stamp, number)

    def _channel(self, topic: str) -> int:
        known = self._channels.get(topic)
        if known is not None:
            return known
        schema, encoding = 0, "msgpack"
        if topic not in (TICKS, CHECKPOINTS):
            name, described = schema_of(topic)
            schema = self._writer.register_schema(
                name, "jsonschema", msgspec.json.encode(described)
            )
            encoding = "json"
        self._channels[topic] = self._writer.register_channel(topic, encoding, schema)
        return self._channels[topic]


@dataclass(frozen=True)
class Recording:
    """A recording to read.

    Attributes:
        path: the file.
        header: what it was made with.
        reason: why it was made.
        begun: when, ISO 8601.
        monotonic_to_utc: from the times in the records to the time of day [s].
    """

    path: Path
    header: Header
    reason: str
    begun: str
    monotonic_to_utc: float

    def records(self) -> Iterator[Record]:
        """Ticks and checkpoints in the order in which they came.

        Raises:
            RecordingError: a record is damaged.
        """
        for topic, _, data in _messages(self.path):
            if topic in (TICKS, CHECKPOINTS):
                try:
                    yield decode(data)
                except msgspec.DecodeError as error:
                    raise RecordingError(
                        f"recording {self.path}: a record is damaged ({error})"
                    ) from error

    def messages(self) -> Iterator[tuple[str, int, dict[str, Any]]]:
        """Topic, time of day [ns] and content of the messages for people, in file order."""
        for topic, stamp, data in _messages(self.path):
            if topic not in (TICKS, CHECKPOINTS):
                yield topic, stamp, msgspec.json.decode(data)

    def part(self, start: float, end: float, every: int = 1) -> Iterator[TickRecord]:
        """The ticks with `start` <= t < `end` [s], one in `every`; found without reading the rest.

        Raises:
            RecordingError: a record is damaged, or the file was never completed.
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
                        assert isinstance(record, TickRecord)
                        yield record
        except (*_DAMAGED, msgspec.DecodeError) as error:
            raise RecordingError(f"recording {self.path}: damaged ({error})") from error

    def span(self) -> tuple[float, float]:
        """Times of the first and the last message [s].

        Raises:
            RecordingError: the file was never completed; `inhand replay` still reads it.
        """
        with suppress(*_DAMAGED), self.path.open("rb") as file:
            summary = SeekingReader(file).get_summary()
            if summary is not None and summary.statistics is not None:
                told = summary.statistics
                offset = self.monotonic_to_utc
                return told.message_start_time / 1e9 - offset, told.message_end_time / 1e9 - offset
        raise RecordingError(
            f"recording {self.path}: it was never completed, so times in it cannot be found; "
            "`inhand recording repair` makes a complete one of it"
        )


def open_recording(path: str | Path) -> Recording:
    """Opens a recording.

    Raises:
        RecordingError: there is no such file, or it is no recording of a version that is read here.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            for metadata in NonSeekingReader(file).iter_metadata():
                if metadata.name == _METADATA:
                    return _opened(path, metadata.metadata)
    except OSError as error:
        raise RecordingError(f"recording {path}: {error.strerror}") from error
    except (*_DAMAGED, KeyError, ValueError) as error:
        raise RecordingError(f"recording {path}: not a recording of inhandd ({error})") from error
    raise RecordingError(f"recording {path}: not a recording of inhandd")


def _opened(path: Path, described: dict[str, str]) -> Recording:
    found = msgspec.json.decode(described["header"]).get("format")
    if found != FORMAT:
        raise RecordingError(
            f"recording {path}: has format {found}, this program reads {FORMAT}; use the version "
            "that made it"
        )
    header = msgspec.json.decode(described["header"], type=Header)
    offset = float(described["monotonic_to_utc"])
    return Recording(path, header, described["reason"], described["begun"], offset)


def repair(path: Path, output: Path) -> int:
    """Makes a complete recording of one that was never completed; returns its messages.

    Raises:
        RecordingError: nothing of it can be read, or the other cannot be written.
    """
    recording = open_recording(path)
    described = {
        "header": msgspec.json.encode(recording.header).decode(),
        "reason": recording.reason,
        "begun": recording.begun,
        "monotonic_to_utc": repr(recording.monotonic_to_utc),
    }
    channels: dict[int, int] = {}
    part, number = output.with_name(output.name + _PART), 0
    if part == path:
        raise RecordingError(f"repair of {path}: name another file to write, with --output")
    try:
        with path.open("rb") as file, part.open("wb") as to:
            writer = Writer(to, _CHUNK, compression=CompressionType.ZSTD)
            writer.start(profile="", library="inhand")
            writer.add_metadata(_METADATA, described)
            with suppress(*_DAMAGED):
                reader = NonSeekingReader(file).iter_messages(log_time_order=False)
                for schema, channel, message in reader:
                    if channel.id not in channels:
                        known = (
                            writer.register_schema(schema.name, schema.encoding, schema.data)
                            if schema
                            else 0
                        )
                        channels[channel.id] = writer.register_channel(
                            channel.topic, channel.message_encoding, known
                        )
                    stamp = message.log_time
                    writer.add_message(
                        channels[channel.id], stamp, message.data, stamp, message.sequence
                    )
                    number += 1
            writer.finish()  # type: ignore[no-untyped-call]
            to.flush()
            os.fsync(to.fileno())
        part.rename(output)
    except OSError as error:
        raise RecordingError(f"repair of {path} to {output}: {error.strerror}") from error
    finally:
        if part != path:
            part.unlink(missing_ok=True)
    return number


def _messages(path: Path) -> Iterator[tuple[str, int, bytes]]:
    with path.open("rb") as file:
        reader = NonSeekingReader(file).iter_messages(log_time_order=False)
        # A file that was never completed ends anywhere.
        with suppress(*_DAMAGED):
            for _, channel, message in reader:
                yield channel.topic, message.log_time, message.data
