"""Writes recordings: new ones, and complete copies of incomplete ones."""

import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Self

import msgspec
from mcap.reader import NonSeekingReader
from mcap.writer import CompressionType, Writer

from inhand.controller.errors import RecordingError
from inhand.controller.recording.foxglove_channels import SCHEMAS, Message, Translator, schema_of
from inhand.controller.recording.reader import (
    CHECKPOINTS,
    DAMAGED,
    METADATA,
    TICKS,
    Header,
    open_recording,
)
from inhand.controller.recording.tick_record import TickRecord, decode
from inhand.files import refuse_existing, whole_file

_PART = ".part"
_CHUNK = 256 * 1024


class RecordingFile:
    """A recording that is being written; it gets its final name when it is complete.

    Args:
        path: its final name.
        file: the open file, under its temporary name.
        translator: makes the viewers' messages.

    Attributes:
        path: its final name.
        size: bytes written so far.
    """

    def __init__(self, path: Path, file: BinaryIO, translator: Translator) -> None:
        self.path = path
        self._translator = translator
        self._channels: dict[str, int] = {}
        self._file = file
        self._writer = Writer(file, _CHUNK, compression=CompressionType.ZSTD)

    @classmethod
    def open(cls, path: Path, header: Header, translator: Translator, reason: str) -> Self:
        """Begins a file; raises OSError, like all methods of this class.

        Args:
            path: its final name.
            header: data for the replay.
            translator: makes the viewers' messages.
            reason: why the recording is made.
        """
        file = path.with_name(path.name + _PART).open("wb")
        made = cls(path, file, translator)
        try:
            made._begin(header, reason)
        except BaseException:
            made.abandon()
            raise
        return made

    def _begin(self, header: Header, reason: str) -> None:
        self._writer.start(profile="", library="inhand")
        begun = datetime.now(UTC).isoformat(timespec="milliseconds")
        offset = self._translator.offset
        self._writer.add_metadata(METADATA, _metadata(header, reason, begun, offset))
        for topic in SCHEMAS:
            self._channel(topic)

    @property
    def size(self) -> int:
        return self._file.tell()

    def write(self, message: bytes) -> None:
        """Writes a record as received from the tick, and the viewers' messages made from it."""
        record = decode(message)
        stamp = self._translator.stamp(record.t)
        if isinstance(record, TickRecord):
            self._add(TICKS, stamp, message, record.n)
            for topic, t, shown in self._translator.messages(record):
                self.show(topic, t, shown, record.n)
        else:
            self._add(CHECKPOINTS, stamp, message, record.n)

    def show(self, topic: str, t: float, message: Message, number: int = 0) -> None:
        """Writes a message for viewers; `t` in [s] on CLOCK_MONOTONIC."""
        data = msgspec.json.encode(self._translator.whole(t, message))
        self._add(topic, self._translator.stamp(t), data, number)

    def finish(self) -> None:
        """Completes the file and gives it its final name."""
        # This method has no type annotations in mcap; the same below.
        self._writer.finish()  # type: ignore[no-untyped-call]
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self.path.with_name(self.path.name + _PART).rename(self.path)

    def abandon(self) -> None:
        """Closes a file that cannot be completed; `open_recording` can still read it in part."""
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


def repair(path: Path, output: Path) -> int:
    """Writes a complete copy of an incomplete recording; returns its number of messages.

    Raises:
        RecordingError: the recording cannot be read, or the copy cannot be written.
        WriteError: there is a file already where the copy is to go.
    """
    refuse_existing(output, "--output")
    recording = open_recording(path)
    described = _metadata(
        recording.header, recording.reason, recording.begun, recording.monotonic_to_utc
    )
    channels: dict[int, int] = {}
    number = 0
    try:
        with path.open("rb") as file, whole_file(output) as to:
            writer = Writer(to, _CHUNK, compression=CompressionType.ZSTD)
            writer.start(profile="", library="inhand")
            writer.add_metadata(METADATA, described)
            with suppress(*DAMAGED):
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
    except OSError as error:
        raise RecordingError(f"repair of {path} to {output}: {error.strerror}") from error
    return number


def _metadata(header: Header, reason: str, begun: str, offset: float) -> dict[str, str]:
    """The metadata that `open_recording` reads; `offset` from monotonic time to UTC [s]."""
    return {
        "header": msgspec.json.encode(header).decode(),
        "reason": reason,
        "begun": begun,
        "monotonic_to_utc": repr(offset),
    }
