"""`inhand view --rerun-file`, read back by Rerun's own reader."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rerun.chunk", reason="needs the extra rerun, with a version that reads files")
from rerun.chunk import RrdReader

from inhand.controller.recording.reader import open_recording
from inhand.controller.recording.tick_record import TickRecord
from inhand.controller.view.live import LiveFeed
from inhand.controller.view.rerun_command import show_in_rerun
from inhand.errors import InhandError
from tests.controller.recording.test_replay import recorded
from tests.controller.view.watched import served


def numbers(reader: RrdReader, path: str) -> list[list[float]]:
    """The rows of the numbers at a path, in the order of time."""
    rows: list[tuple[int, list[float]]] = []
    for chunk in reader.stream().to_chunks():
        if str(chunk.entity_path) == path and not chunk.is_static:
            batch = chunk.to_record_batch()
            times = batch.column("time").cast("int64").to_pylist()
            rows += zip(times, batch.column("Scalars:scalars").to_pylist(), strict=True)
    return [values for _, values in sorted(rows)]


def test_a_recording_is_what_rerun_reads(tmp_path: Path) -> None:
    recording = recorded(tmp_path)
    file = tmp_path / "shown.rrd"
    command = [sys.executable, "-m", "inhand", "view", str(recording), "--rerun-file", str(file)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"view: wrote {file}\n"), done.stderr
    reader = RrdReader(str(file))
    assert len(reader.recordings()) == len(reader.blueprints()) == 1
    ticks = [
        tick
        for tick in open_recording(recording).records()
        if isinstance(tick, TickRecord) and tick.n % 5 == 0 and tick.inputs.joints is not None
    ]
    told = numbers(reader, "/servos/position_deg")
    expected = [np.degrees(tick.inputs.joints.position) for tick in ticks if tick.inputs.joints]
    np.testing.assert_allclose(told, expected)
    errors = [tick.outputs.goal.error for tick in ticks if tick.outputs.goal]
    np.testing.assert_allclose(np.radians(numbers(reader, "/goal/error_deg")).ravel(), errors)
    paths = {str(chunk.entity_path) for chunk in reader.stream().to_chunks()}
    assert {"/world/object/face0", "/world/goal", "/world/cameras/left", "/log"} <= paths
    # Nothing is written over.
    before = file.read_bytes()
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.stderr == f"error: {file}: it exists; name another one with --rerun-file\n"
    assert file.read_bytes() == before


def test_a_running_hand_is_written_until_the_end(tmp_path: Path) -> None:
    file = tmp_path / "live.rrd"
    feed = LiveFeed(tmp_path, None)
    with served(tmp_path):
        states = 0

        def ended() -> bool:
            nonlocal states
            states += len(feed.history.curves()["t"]) > 10
            return states > 3

        show_in_rerun(None, feed, file, ended)
    assert len(numbers(RrdReader(str(file)), "/servos/position_deg")) >= 3
    assert [path.name for path in tmp_path.glob("*.rrd*")] == ["live.rrd"]


def test_what_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    feed = LiveFeed(tmp_path, None)
    for file, words in (
        (tmp_path / "shown.mcap", "Rerun's files end in .rrd"),
        (tmp_path / "shown.rrd", "no daemon was heard, so nothing was written"),
    ):
        with pytest.raises(InhandError) as refused:
            show_in_rerun(None, feed, file, lambda: True)
        assert words in str(refused.value)
    assert not list(tmp_path.glob("*shown*"))
