"""What `inhand view --rerun` and `--rerun-file` do."""

import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import rerun as rr

from inhand.controller.errors import ConfigError
from inhand.controller.view.live import LiveFeed
from inhand.controller.view.rerun_log import Sink, log_live, log_recording
from inhand.errors import WriteError
from inhand.files import refuse_existing


def show_in_rerun(
    recording: Path | None, feed: LiveFeed | None, file: Path | None, ended: Callable[[], bool]
) -> None:
    """Shows a recording, or a feed until `ended`, in Rerun's viewer or writes it to a file.

    Args:
        recording: what to show.
        feed: what to show if there is no recording; it is started here.
        file: the file to write (.rrd), whole or not at all; None for the viewer.
        ended: whether to end.

    Raises:
        ConfigError: the file has another ending, or the viewer does not start.
        WriteError: the file exists, or cannot be written.
        InhandError: the recording cannot be read.
    """
    if file is None:
        _show(recording, feed, _spawn, ended)
        return
    if file.suffix != ".rrd":
        raise ConfigError(f"view: --rerun-file {file}: Rerun's files end in .rrd")
    refuse_existing(file, "--rerun-file")
    part = file.with_name(f".{file.name}.part")
    streams: list[rr.RecordingStream] = []

    def save(stream: rr.RecordingStream) -> None:
        # A second hand on the same feed goes into the same file.
        if not streams:
            try:
                stream.save(part)
            except RuntimeError as error:
                raise WriteError(f"file {file} cannot be written: {error}") from error
        streams.append(stream)

    try:
        _show(recording, feed, save, ended)
        if not streams:
            raise ConfigError("view: no daemon was heard, so nothing was written")
        streams[0].disconnect()
        part.replace(file)
    finally:
        with suppress(FileNotFoundError):
            part.unlink()
    print(f"view: wrote {file}", flush=True)


def _show(
    recording: Path | None, feed: LiveFeed | None, sink: Sink, ended: Callable[[], bool]
) -> None:
    if recording is not None:
        log_recording(recording, sink)
        return
    assert feed is not None
    feed.start()
    try:
        log_live(feed, sink, ended)
    finally:
        feed.close()


def _spawn(stream: rr.RecordingStream) -> None:
    # Beside the interpreter, also where the environment is not activated.
    program = Path(sys.executable).with_name("rerun")
    try:
        rr.spawn(executable_path=str(program) if program.exists() else None, recording=stream)
    except RuntimeError as error:
        raise ConfigError(
            f"view: Rerun's viewer does not start ({error}); --rerun-file writes a file for a "
            "viewer elsewhere"
        ) from error
