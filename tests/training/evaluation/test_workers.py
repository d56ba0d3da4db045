"""Work that is spread over processes ends with its program, and when one piece of it fails."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from inhand.training.evaluation.workers import spread


def work(seconds: float) -> float:
    """Takes so long [s]; a negative time is refused."""
    if seconds < 0:
        raise ValueError("no such time")
    time.sleep(seconds)
    return seconds


def test_results_come_in_order() -> None:
    assert list(spread(work, [0.3, 0.0, 0.1], jobs=2)) == [0.3, 0.0, 0.1]


def test_a_failure_does_not_wait_for_the_rest() -> None:
    began = time.monotonic()
    with pytest.raises(ValueError, match="no such time"):
        list(spread(work, [-1.0, *[600.0] * 20], jobs=2))
    assert time.monotonic() - began < 300.0


def test_who_stops_reading_does_not_wait_for_the_rest() -> None:
    began, results = time.monotonic(), spread(work, [0.0, *[600.0] * 20], jobs=2)
    assert next(iter(results)) == 0.0
    results.close()  # type: ignore[attr-defined]  # an iterator that is a generator
    assert time.monotonic() - began < 300.0


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_sigterm_ends_an_evaluation_with_the_trials_so_far(jobs: str, tmp_path: Path) -> None:
    kept = tmp_path / "kept.json"
    command = [sys.executable, "-m", "inhand.controller.cli.main", "eval", "--engine", "mujoco"]
    command += ["--jobs", jobs, "--trials", "1000", "--timeout", "1", "--keep", str(kept), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    lines = iter(process.stderr.readline, "")
    assert any(line.startswith("trial   2") for line in lines)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130 and "eval: interrupted" in err and "Traceback" not in err
    assert json.loads(out)["n"] >= 2
    assert len(json.loads(kept.read_text())["trials"]) >= 2


def test_worker_processes_end_with_their_parent() -> None:
    command = [sys.executable, "-m", "inhand.controller.cli.main", "eval", "--engine", "mujoco"]
    command += ["--jobs", "2", "--trials", "2", "--cap", "1000", "--timeout", "1000"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wanted = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    workers: list[str] = []
    deadline = time.monotonic() + 120
    try:
        # Two that work and one that counts semaphores.
        while len(workers) < 3:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)
            workers = wanted.read_text().split()
        # It takes a moment until they are trials.
        time.sleep(3.0)
    finally:
        process.kill()
        process.wait()
    deadline = time.monotonic() + 120
    while any(Path(f"/proc/{worker}").exists() for worker in workers):
        assert time.monotonic() < deadline
        time.sleep(0.1)
