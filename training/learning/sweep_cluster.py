"""A sweep whose runs are tasks of a Ray cluster; all its machines see the folder of the runs."""

import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError, TaskCancelledError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from inhand.training.cluster.connection import ClusterError, alive_nodes, first_line
from inhand.training.learning.run_files import Paths, locked
from inhand.training.learning.stop import stop_requested
from inhand.training.learning.sweep_runner import POLL_SECONDS, Ended, Job, Runner, start_job

RETRIES = 5
"""How often a run goes on elsewhere after its machine has failed, from its last checkpoint."""
WAIT_SECONDS = 120.0
"""For a run whose machine was lost, and which still saves its last checkpoint."""
LOOK_SECONDS = 0.5
CHECK_SECONDS = 60.0


def on_cluster(gpus: int = 0) -> Runner:
    """A runner that gives each run a CPU of the cluster; the program is connected to it.

    A signal ends the runs after a last checkpoint. A run whose machine fails goes on elsewhere.

    Args:
        gpus: that each run needs.
    """

    def run(jobs: Sequence[Job], ended: Ended) -> None:
        check_shared(jobs)
        options: dict[str, Any] = {"num_cpus": 1, "num_gpus": gpus, "max_retries": RETRIES}
        train = ray.remote(**options)(train_there)
        here = str(Path.cwd())
        calls = {train.remote(str(job.folder), job.arguments, here): job for job in jobs}
        stopping = False
        with stop_requested() as stop:
            while calls:
                if stop() and not stopping:
                    stopping = True
                    for call in calls:
                        ray.cancel(call)
                for call in ray.wait(list(calls), num_returns=1, timeout=LOOK_SECONDS)[0]:
                    job = calls.pop(call)
                    ended(job, _code(call, job, stopping))

    return run


def check_shared(jobs: Sequence[Job]) -> None:
    """Checks that each machine sees the folders of the runs.

    Raises:
        ClusterError: one does not.
    """
    look = ray.remote(num_cpus=0, max_retries=0)(_first_missing)
    folders = [str(job.folder) for job in jobs]
    asked = {}
    for node in alive_nodes():
        there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        asked[look.options(scheduling_strategy=there).remote(folders)] = node["NodeManagerAddress"]
    for call, host in asked.items():
        if missing := ray.get(call, timeout=CHECK_SECONDS):
            raise ClusterError(
                f"sweep: worker {host} does not see {missing}; put --runs on storage that all "
                "machines of the cluster share"
            )


def _first_missing(folders: Sequence[str]) -> str:
    return next((folder for folder in folders if not Path(folder, "recipe.toml").is_file()), "")


def train_there(folder: str, arguments: tuple[str, ...], directory: str) -> int:
    """Runs `inhand train` where Ray has put this task; returns its exit code.

    Args:
        folder: of the run.
        arguments: of `inhand`.
        directory: in which paths of the recipe are meant.
    """
    # Ray cancels a task by SIGINT, which programs in the background of a shell ignore.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    deadline = time.monotonic() + WAIT_SECONDS
    while locked(Paths(Path(folder))) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    process = start_job(Job(Path(folder), arguments), Path(directory))
    try:
        # Ray interrupts Python's code, and not a call that waits for a process.
        while (code := process.poll()) is None:
            time.sleep(POLL_SECONDS)
        return code
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


def _code(call: Any, job: Job, stopping: bool) -> int:
    """The exit code of a run; 1 if no machine could finish it, which its output says."""
    try:
        return int(ray.get(call))
    except TaskCancelledError:
        return 0
    except RayError as error:
        if stopping:
            return 0
        what = "a task failed" if isinstance(error, RayTaskError) else "no machine could finish it"
        with (job.folder / "output.txt").open("a") as output:
            print(f"{what}: {first_line(error)}", file=output)
        return 1
