"""Tables, reports and the viewer page of a recording, and the repair of an incomplete one."""

import csv
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from mcap.reader import make_reader

from inhand.controller.cli import main
from inhand.controller.errors import RecordingError
from inhand.controller.recording.export import export, rows_of
from inhand.controller.recording.plot import read_run
from inhand.controller.recording.reader import open_recording
from inhand.controller.recording.writer import repair
from inhand.controller.view.recorded import RecordedFeed
from inhand.errors import WriteError
from tests.controller.bench_hand import HAND
from tests.controller.recording.test_replay import recorded


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recorded(tmp_path_factory.mktemp("recorded"))


@pytest.fixture
def incomplete(path: Path, tmp_path: Path) -> Path:
    incomplete = tmp_path / "incomplete.mcap.part"
    whole = path.read_bytes()
    incomplete.write_bytes(whole[: len(whole) * 2 // 3])
    return incomplete


def test_the_standard_mcap_reader_accepts_a_recording(path: Path) -> None:
    with path.open("rb") as file:
        reader = make_reader(file, validate_crcs=True)
        summary = reader.get_summary()
        assert summary is not None and summary.statistics is not None
        count = 0
        for schema, channel, message in reader.iter_messages():
            count += 1
            if channel.message_encoding == "json":
                assert schema is not None
                told, described = json.loads(message.data), json.loads(schema.data)
                assert set(described["required"]) <= set(told) <= set(described["properties"])
        assert count == summary.statistics.message_count


def test_a_recording_is_exported_as_tables(path: Path, tmp_path: Path) -> None:
    written = export(open_recording(path), tmp_path / "tables")
    ticks = [x for x in open_recording(path).records() if type(x).__name__ == "TickRecord"]
    assert written["tick.csv"] == written["state.csv"] == len(ticks)
    with (tmp_path / "tables" / "servos.csv").open() as file:
        rows = list(csv.DictReader(file))
    joints = [tick.inputs.joints for tick in ticks if tick.inputs.joints is not None]
    assert len(rows) == len(joints)
    name = HAND.actuator_names[3]
    found = [float(row[f"{name}.position"]) for row in rows]
    np.testing.assert_allclose(found, [joint.position[3] for joint in joints])
    with (tmp_path / "tables" / "state.csv").open() as file:
        assert {row["mode"] for row in csv.DictReader(file)} >= {"holding", "running"}
    assert not list((tmp_path / "tables").glob("*.part"))
    before = (tmp_path / "tables" / "tick.csv").read_bytes()
    with pytest.raises(WriteError, match="it exists; name another one with --output"):
        export(open_recording(path), tmp_path / "tables")
    assert (tmp_path / "tables" / "tick.csv").read_bytes() == before


def test_tags_have_a_row_each() -> None:
    corners = [[[0, 1], [2, 3], [4, 5], [6, 7]]] * 2
    rows = list(rows_of({"timestamp": {}, "age": 0.1, "ids": [3, 4], "corners": corners}))
    assert [row["id"] for row in rows] == [3, 4]
    assert rows[1]["y3"] == 7


def test_the_commands_write_reports_and_print_the_files(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*arguments: str) -> tuple[object, str]:
        monkeypatch.setattr(sys, "argv", ["inhand", *arguments])
        with pytest.raises(SystemExit) as ended:
            main.main()
        return ended.value.code, capsys.readouterr().out

    plot = tmp_path / "run.png"
    code, said = run("plot", str(path), "--output", str(plot))
    assert code == 0 and "goals reached" in said and str(plot) in said
    assert plot.read_bytes().startswith(b"\x89PNG")
    code, _ = run("plot", str(path), "--output", str(plot))
    assert code == f"error: {plot}: it exists; name another one with --output"
    plot.unlink()
    code, said = run("plot", str(path), "--output", str(plot), "--json")
    told = json.loads(said)
    assert code == 0 and told["output"] == str(plot)
    assert told["ticks"] > 0 and told["think_median_ms"] <= told["think_p99_9_ms"]
    code, said = run("recording", "export", str(path), "--output", str(tmp_path / "t"), "--json")
    assert code == 0 and json.loads(said)["rows"]["log.csv"] > 0
    code, _ = run("plot", str(path), "--output", str(tmp_path / "run.pdf"))
    assert code == f"error: plot to {tmp_path / 'run.pdf'}: name a .png file"
    code, _ = run("plot", str(path), "--output", str(tmp_path / "run.html"))
    assert "`inhand report " in str(code)
    (tmp_path / "foreign.mcap").write_bytes(b"no recording")
    # The page lowers the priority of its process, which is that of the tests here.
    monkeypatch.setattr(os, "nice", lambda by: by)
    for verb in (["plot"], ["recording", "export"], ["view"]):
        code, _ = run(*verb, str(tmp_path / "foreign.mcap"))
        assert "not a recording of inhandd" in str(code)


def test_an_incomplete_recording_is_shown_after_repair(incomplete: Path, tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="recording repair"):
        RecordedFeed(incomplete)
    ticks = len(read_run(open_recording(incomplete)).times)
    repaired = tmp_path / "repaired.mcap"
    assert repair(incomplete, repaired) > ticks
    with pytest.raises(WriteError, match="it exists"):
        repair(incomplete, repaired)
    assert len(read_run(open_recording(repaired)).times) == ticks
    assert RecordedFeed(repaired).moment() is not None


def test_the_page_shows_the_time_of_the_slider(path: Path) -> None:
    feed = RecordedFeed(path)
    begin, end = open_recording(path).span()
    first = feed.moment()
    assert first is not None and first.state["t"] == pytest.approx(begin, abs=0.1)
    for share in (0.7, 0.9, 0.3):
        feed._wanted = begin + share * (end - begin)
        moment = feed.moment()
        assert moment is not None and not feed.problem
        assert moment.state["t"] == pytest.approx(feed._wanted, abs=0.1)
        assert len(feed.history.curves()["t"]) > 10
    assert feed.setting is not None and feed.setting.hand.digest == HAND.digest
