"""`inhand recording`: exports a recording for other programs, or repairs an incomplete one."""

import csv
import io
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TextIO

import tyro

from inhand.controller.errors import RecordingError
from inhand.controller.recording.foxglove_channels import schema_of
from inhand.controller.recording.reader import Recording, open_recording
from inhand.controller.recording.writer import repair
from inhand.controller.system.progress import Progress
from inhand.errors import InhandError
from inhand.files import refuse_existing, whole_file
from inhand.result import print_json

Row = dict[str, object]


@dataclass(frozen=True)
class Options:
    """Turn a recording into CSV files, a ROS 2 bag or a LeRobot data set, or repair it.

    Example: inhand recording export FILE --output tables

    Attributes:
        action: `export` writes tables (CSV, one for each channel), `repair` a complete recording.
        file: The recording.
        output: Directory of the export, or the file to write; otherwise beside the recording.
        ros2: Export a ROS 2 bag (MCAP).
        lerobot: Export a LeRobot data set, version 3, with an episode from each goal.
        json: Print what was written as JSON.
    """

    action: tyro.conf.Positional[Literal["export", "repair"]]
    file: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FILE")]
    output: Annotated[Path | None, tyro.conf.arg(metavar="PATH")] = None
    ros2: bool = False
    lerobot: bool = False
    json: bool = False


def export(recording: Recording, directory: Path) -> dict[str, int]:
    """Writes one table per channel; no file is ever incomplete.

    Args:
        recording: the recording to export.
        directory: directory of the tables.

    Returns:
        Number of rows of each table, by file name.

    Raises:
        RecordingError: the tables cannot be written.
        WriteError: one of them exists.
    """
    tables: dict[str, _Table] = {}
    # Messages are read one by one: an hour of them does not fit into memory.
    begin, end = _span(recording)
    progress = Progress(f"exporting {recording.path.name}", end - begin)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with ExitStack() as files:
            # The files get their final names when the stack ends; if anything fails, none does.
            for number, (topic, stamp, message) in enumerate(recording.messages()):
                if topic.startswith("/image/"):
                    continue
                table = tables.get(topic)
                if table is None:
                    table = tables[topic] = _open_table(directory, topic, files)
                table.add(stamp, message)
                if number % 100 == 0:
                    progress.at(stamp / 1e9 - recording.monotonic_to_utc - begin)
    except OSError as error:
        raise RecordingError(f"export to {directory}: {error.strerror}") from error
    finally:
        progress.end()
    return {table.path.name: table.rows for table in tables.values()}


def _span(recording: Recording) -> tuple[float, float]:
    """The span for the progress display; (0, 0) for an incomplete recording."""
    try:
        return recording.span()
    except RecordingError:
        return 0.0, 0.0


def _open_table(directory: Path, topic: str, files: ExitStack) -> "_Table":
    """Begins the table of a channel; `files` completes or discards its file."""
    path = directory / (topic.strip("/").replace("/", "-") + ".csv")
    refuse_existing(path, "--output")
    file = io.TextIOWrapper(files.enter_context(whole_file(path)), encoding="utf-8", newline="")
    files.callback(file.detach)
    return _Table(path, file, topic)


class _Table:
    """The table of one channel.

    Args:
        path: final name of its file.
        file: the file that is being written.
        topic: the channel's.
    """

    def __init__(self, path: Path, file: TextIO, topic: str) -> None:
        self.path = path
        self.rows = 0
        self._optional = [
            name
            for name, schema in schema_of(topic)[1]["properties"].items()
            if schema["type"] in ("number", "integer", "string", "boolean")
        ]
        self._file = file
        self._writer: csv.DictWriter[str] | None = None

    def add(self, stamp: int, message: dict[str, Any]) -> None:
        for row in rows_of(message):
            if self._writer is None:
                columns = dict.fromkeys([*row, *self._optional])
                self._writer = csv.DictWriter(self._file, ["time", *columns], restval="")
                self._writer.writeheader()
            self._writer.writerow({"time": f"{stamp / 1e9:.6f}", **row})
            self.rows += 1


def rows_of(message: dict[str, Any]) -> Iterator[Row]:
    """The rows of a message: one, or one for each tag that a camera detected."""
    if "corners" in message:
        for tag, corners in zip(message["ids"], message["corners"], strict=True):
            row: Row = {"age": message["age"], "id": tag}
            for number, (x, y) in enumerate(corners):
                row |= {f"x{number}": x, f"y{number}": y}
            yield row
        return
    names = message.get("names")
    row = {}
    for key, value in message.items():
        if key not in ("timestamp", "names"):
            row |= dict(_cells(key, value, names))
    yield row


def _cells(key: str, value: Any, names: list[str] | None) -> Iterator[tuple[str, object]]:
    """Columns of a member; items of a list are labelled by their names, else by their index."""
    if isinstance(value, dict):
        for inner, item in value.items():
            yield from _cells(f"{key}.{inner}", item, names)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            if isinstance(item, dict) and "name" in item:
                rest = {k: v for k, v in item.items() if k != "name"}
                yield from _cells(item["name"], rest, None)
            else:
                yield from _cells(f"{names[number] if names else number}.{key}", item, None)
    else:
        yield key, value


def _export(options: Options) -> tuple[Path, dict[str, int]]:
    """Exports in the format that was asked for; returns where to, and the counts."""
    if options.ros2 and options.lerobot:
        raise RecordingError("recording export: give one of --ros2 and --lerobot")
    ending = "-ros2" if options.ros2 else "-lerobot" if options.lerobot else ""
    beside = options.file.with_name(options.file.stem + ending)
    directory = options.output or beside
    recording = open_recording(options.file)
    # Libraries of an extra are loaded when they are needed.
    if options.ros2:
        from inhand.controller.recording.ros2 import export_ros2

        return directory, export_ros2(recording, directory)
    if options.lerobot:
        from inhand.controller.recording.lerobot import export_lerobot

        return directory, export_lerobot(recording, directory)
    return directory, export(recording, directory)


def main() -> None:
    """Entry point of `inhand recording`."""
    options = tyro.cli(Options, prog="inhand recording", config=(tyro.conf.FlagCreatePairsOff,))
    try:
        if options.action == "repair":
            directory = options.output or options.file.with_name(f"repaired-{options.file.stem}")
            written = {"messages": repair(options.file, directory)}
        else:
            directory, written = _export(options)
    except InhandError as error:
        sys.exit(f"error: {error}")
    if options.json:
        print_json({"directory": str(directory), "rows": written})
        return
    for name, rows in sorted(written.items()):
        print(f"{directory / name.lstrip('/')}: {rows}")


if __name__ == "__main__":
    main()
