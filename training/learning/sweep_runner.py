"""Runs the jobs of a sweep as processes of this machine."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from inhand.perception.parent import environment
from inhand.training.learning.stop import stop_requested

POLL_SECONDS = 0.1


class Job(NamedTuple):
    """One run to start.

    Attributes:
        folder: of the run; what it prints goes to `output.txt` there.
        arguments: of `inhand`.
    """

    folder: Path
    arguments: tuple[str, ...]


Ended = Callable[[Job, int], None]
"""Called with a job and its exit code, negative for the signal that killed it."""
Runner = Callable[[Sequence[Job], Ended], None]
"""Runs all jobs and calls the function with each that has ended. `on_this_machine` makes one;
whatever else can run `inhand train` where the folder of the runs is seen can take its place."""


def on_this_machine(number: int) -> Runner:
    """A runner with so many processes at once; a signal ends them after a last checkpoint."""

    def run(jobs: Sequence[Job], ended: Ended) -> None:
        waiting = list(jobs)
        running: dict[Job, subprocess.Popen[bytes]] = {}
        stopping = False
        with stop_requested() as stop:
            while waiting or running:
                if stop() and not stopping:
                    stopping = True
                    waiting.clear()
                    # Once: a run that is saving ignores it, one that has saved does not.
                    _terminate(running.values())
                while waiting and len(running) < number:
                    job = waiting.pop(0)
                    running[job] = start_job(job)
                time.sleep(POLL_SECONDS)
                codes = {job: process.poll() for job, process in running.items()}
                for job, code in codes.items():
                    if code is not None:
                        del running[job]
                        # Before it trains, a process has nothing to save and ends at once.
                        ended(job, 0 if stopping and code == -signal.SIGTERM else code)

    return run


def start_job(job: Job, directory: Path | None = None) -> "subprocess.Popen[bytes]":
    """Starts the process of a run; it ends after a last checkpoint if this one is gone."""
    with (job.folder / "output.txt").open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "inhand", *job.arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment(),
            cwd=directory if directory and directory.is_dir() else None,
        )


def _terminate(processes: "Iterable[subprocess.Popen[bytes]]") -> None:
    for process in processes:
        process.terminate()
