"""The log of a run, read with the readers of the programs that show it."""

import csv
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from inhand.training.learning.curve import draw_curve
from inhand.training.learning.run_display import Display, time_left
from inhand.training.learning.run_files import Paths, RunError, read_log
from inhand.training.learning.run_log import RunLog


def row(iteration: int, goals: float, **more: float) -> dict[str, float]:
    return {"iteration": iteration, "steps": 1_234_567 * iteration, "goals": goals, **more}


def logged(paths: Paths, begin: int, rows: list[dict[str, float]]) -> None:
    """Writes rows as a run that goes on after iteration `begin`."""
    log = RunLog(paths)
    log.open(begin, 1_234_567 * begin)
    for one in rows:
        log.write(one)
    log.close()


def events(paths: Paths, name: str) -> list[tuple[int, float]]:
    """Steps and values as TensorBoard shows them."""
    reader = EventAccumulator(str(paths.events))
    reader.Reload()
    return [(event.step, event.value) for event in reader.Scalars(name)]


def wait_for_the_next_second() -> None:
    """TensorBoard orders its files by the second in their names, and then by a number as text."""
    began = int(time.time())
    while int(time.time()) == began:
        time.sleep(0.05)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path)


def test_table_and_tensorboard_have_the_same_rows(paths: Paths) -> None:
    logged(paths, 0, [row(10, 0.5, divergence=1e-9), row(20, 1.5, divergence=0.125)])
    assert events(paths, "goals") == [(12_345_670, 0.5), (24_691_340, 1.5)]
    assert events(paths, "divergence") == [(12_345_670, pytest.approx(1e-9)), (24_691_340, 0.125)]
    assert read_log(paths.log) == [row(10, 0.5, divergence=1e-9), row(20, 1.5, divergence=0.125)]


def test_rows_after_the_checkpoint_are_not_there_twice(paths: Paths) -> None:
    """A killed run has logged iterations that its last checkpoint does not have."""
    logged(paths, 0, [row(10, 0.5), row(20, 9.0), row(30, 9.0)])
    wait_for_the_next_second()
    logged(paths, 15, [row(20, 1.0), row(30, 2.0)])
    assert events(paths, "goals") == [(12_345_670, 0.5), (24_691_340, 1.0), (37_037_010, 2.0)]
    assert [one["goals"] for one in read_log(paths.log)] == [0.5, 1.0, 2.0]


def test_a_run_from_the_beginning_has_nothing_of_an_earlier_log(paths: Paths) -> None:
    logged(paths, 0, [row(10, 0.5)])
    wait_for_the_next_second()
    logged(paths, 0, [row(20, 0.7)])
    assert events(paths, "goals") == [(24_691_340, pytest.approx(0.7))]
    assert [one["goals"] for one in read_log(paths.log)] == [0.7]


def test_a_column_that_a_later_version_logs_has_its_own_place(paths: Paths) -> None:
    logged(paths, 0, [row(10, 0.5, loss=3.0)])
    logged(paths, 10, [row(20, 0.7, entropy=-1.5)])
    assert read_log(paths.log) == [row(10, 0.5, loss=3.0), row(20, 0.7, entropy=-1.5)]
    with paths.log.open(newline="") as file:
        assert [line["loss"] for line in csv.DictReader(file)] == ["3", ""]
    draw_curve(paths)
    assert paths.curve.read_bytes()[:4] == b"\x89PNG"


def test_a_line_that_was_cut_off_at_the_end_is_left_out(paths: Paths) -> None:
    logged(paths, 0, [row(10, 0.5), row(20, 0.7)])
    with paths.log.open("a") as file:
        file.write("30,37")
    assert [one["iteration"] for one in read_log(paths.log)] == [10, 20]
    logged(paths, 20, [row(30, 0.9)])
    assert [one["goals"] for one in read_log(paths.log)] == [0.5, 0.7, 0.9]


@pytest.mark.parametrize(
    "content", [b"iteration,steps\nten,3\n20,4\n", b"\xff\xfe\n1\n", b"a\n1\n2\n"]
)
def test_a_file_that_is_no_log_is_named(paths: Paths, content: bytes) -> None:
    paths.log.write_bytes(content)
    with pytest.raises(RunError, match=r"log\.csv"):
        RunLog(paths).open(10, 10)
    assert paths.log.read_bytes() == content


def test_the_time_that_is_left_is_that_of_what_ends_first() -> None:
    by_iterations = Display("run", 1000, None)
    assert time_left(by_iterations.share(250, 600.0), 600.0) == "30 min left"
    by_minutes = Display("run", 1000, 15.0)
    assert time_left(by_minutes.share(250, 600.0), 600.0) == "5 min left"
    assert time_left(0.1, 3600.0) == "9 h 0 min left"
    assert time_left(1.0, 60.0) == "0 s left"


def records(file: Path) -> Iterator[bytes]:
    """Records of a file of wandb: LevelDB's log format after a header of seven bytes."""
    data, at = file.read_bytes(), 7
    while at + 7 < len(data):
        _, length, kind = struct.unpack_from("<IHB", data, at)
        assert kind == 1, "a record that is longer than a block"
        yield data[at + 7 : at + 7 + length]
        at += 7 + length


def test_wandb_writes_files_and_sends_nothing(paths: Paths) -> None:
    pytest.importorskip("wandb")
    from wandb.proto.wandb_internal_pb2 import Record

    log = RunLog(paths, wandb=True, settings={"run": "block", "teacher": {"seed": 5}})
    log.open(0, 0)
    log.write(row(10, 0.5))
    log.write(row(20, 1.5))
    log.close()
    (file,) = paths.folder.glob("wandb/offline-run-*/*.wandb")
    written = [Record.FromString(one) for one in records(file)]
    goals = [
        float(item.value_json)
        for record in written
        for item in record.history.item
        if "goals" in (item.key, *item.nested_key)
    ]
    assert goals == [0.5, 1.5]
    config = {item.key: item.value_json for one in written for item in one.run.config.update}
    assert config["run"] == '"block"'


def test_without_wandb_the_option_says_what_to_install(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(RunError, match=r"pip install 'inhand\[wandb\]'"):
        RunLog(paths, wandb=True).open(0, 0)
