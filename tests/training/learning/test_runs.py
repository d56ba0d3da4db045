"""`inhand runs`: states, best results, and folders that are not as they should be."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from inhand.training.learning import runs
from inhand.training.learning.run_files import (
    Paths,
    RunError,
    RunStatus,
    locked,
    sole_trainer,
    write_status,
)
from inhand.training.learning.runs import Run, list_runs

HEAD = "iteration,steps,minutes,goals,distance,universe_scale\n"


def make(
    folder: Path, name: str, state: str = "stopped", log: str = "", problem: str = ""
) -> Paths:
    paths = Paths(folder / name)
    paths.folder.mkdir(parents=True)
    status = RunStatus(name, "teacher", 100, 40, 4000, 2.0, state, problem)  # type: ignore[arg-type]
    write_status(paths, status)
    if log:
        paths.log.write_text(HEAD + log)
    return paths


def only(folder: Path) -> Run:
    (run,) = list_runs(folder)
    return run


@pytest.mark.parametrize("state", ["stopped", "finished", "failed"])
def test_a_run_without_a_process_is_as_it_ended(tmp_path: Path, state: str) -> None:
    make(tmp_path, "block", state, problem="the loss is not finite" if state == "failed" else "")
    run = only(tmp_path)
    assert (run.run, run.state, run.iteration, run.iterations) == ("block", state, 40, 100)
    assert bool(run.problem) == (state == "failed")


def test_a_run_is_running_while_its_process_lives(tmp_path: Path) -> None:
    paths = make(tmp_path, "block", "running")
    program = (
        "import sys; from pathlib import Path; "
        "from inhand.training.learning.run_files import Paths, sole_trainer; "
        "context = sole_trainer(Paths(Path(sys.argv[1]))); context.__enter__(); "
        "print('locked', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(paths.folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout and process.stdout.readline() == b"locked\n"
        assert only(tmp_path).state == "running"
        with (
            pytest.raises(RunError, match=f"process {process.pid} trains in it already"),
            sole_trainer(paths),
        ):
            pass
        process.send_signal(signal.SIGKILL)
    run = only(tmp_path)
    assert run.state == "stopped" and "without a last save" in run.problem
    with sole_trainer(paths):
        assert locked(paths)
        assert paths.lock.read_text() == f"{os.getpid()}\n"
    assert not locked(paths)


def test_the_best_result_is_that_of_the_farthest_goals(tmp_path: Path) -> None:
    near, far = "10,1000,1,9.0,0.8,0\n", "20,2000,2,3.0,3.14,0\n30,3000,3,5.0,3.14,0.1\n"
    make(tmp_path, "block", log=near + far + "50,5000,5,4.0,3.14,0.2\n")
    run = only(tmp_path)
    assert (run.best_goals, run.best_steps, run.best_scale) == (5.0, 3000, 0.1)
    assert run.goals == 4.0
    # The log is ahead of the last checkpoint.
    assert (run.iteration, run.steps, run.minutes) == (50, 5000, 5.0)


def test_a_run_of_an_earlier_version_and_runs_in_folders_are_listed(tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir()
    (old / "log.csv").write_text("iteration,steps,minutes,goals,loss\n10,1000,1,0.5,3\n")
    make(tmp_path, "sweep/seed=1", "finished")
    first, second = list_runs(tmp_path)
    assert (first.run, first.state, first.stage, first.iterations) == ("old", "stopped", "", 0)
    assert (second.run, second.best_goals) == ("sweep/seed=1", None)
    assert "sweep/seed=1  finished  40/100" in runs.table([first, second])


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("run.json", b"{", r"run\.json cannot be read"),
        ("run.json", b'{"run": 3}', r"run\.json cannot be read"),
        ("log.csv", b"\xff\xff\n", r"log\.csv"),
        ("log.csv", b"iteration,steps\na,b\n1,2\n", "line 2"),
    ],
)
def test_a_damaged_file_is_named_and_the_others_are_listed(
    tmp_path: Path, file: str, content: bytes, message: str
) -> None:
    make(tmp_path, "good", "finished")
    (make(tmp_path, "bad").folder / file).write_bytes(content)
    bad, good = list_runs(tmp_path)
    assert good.state == "finished" and not good.problem
    with pytest.raises(RunError, match=message):
        raise RunError(bad.problem)


def test_the_verb_prints_a_table_or_one_json_value(tmp_path: Path) -> None:
    def typed(*words: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "inhand", "runs", "--runs", str(tmp_path), *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=300)

    assert "no run yet" in typed().stdout
    make(tmp_path, "block", "finished")
    heads, line = typed().stdout.splitlines()
    assert heads.split()[:3] == ["run", "state", "iteration"]
    assert line.split()[:3] == ["block", "finished", "40/100"]
    assert json.loads(typed("--json").stdout)[0]["state"] == "finished"
    missing = typed("--runs", str(tmp_path / "nowhere"))
    assert missing.returncode == 1 and "nowhere: no such folder" in missing.stderr
    assert len(missing.stderr.splitlines()) == 1


def test_listing_runs_needs_no_torch() -> None:
    """So it is quick, and works on a machine that only watches."""
    program = "import sys, inhand.training.learning.runs; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=300)
