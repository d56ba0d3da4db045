"""A Ray cluster of two nodes on this machine, and what actors do in tests."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray.cluster_utils import Cluster

from inhand.training.cluster.connection import connected

STORE = 100 << 20


@contextmanager
def two_nodes() -> Iterator[tuple[Cluster, Any]]:
    """A head with one CPU, and another node with one; gives the cluster and that node."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # Ray's workers are niced by default, and wait long beside other tests.
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112  (its name)
    cluster = Cluster()
    try:
        add_node(cluster, include_dashboard=False)
        yield cluster, add_node(cluster)
    finally:
        ray.shutdown()
        cluster.shutdown()


def add_node(cluster: Cluster, **options: Any) -> Any:
    """One more node with one CPU; the first one is the head.

    Ray gives a node 30 s to start, which is too short beside much other work.
    """
    for _ in range(4):
        try:
            return cluster.add_node(
                num_cpus=1, object_store_memory=STORE, memory=4 << 30, **options
            )
        except Exception as error:
            if "timed out during startup" not in str(error):
                raise
    raise AssertionError("a node of Ray did not start in four attempts")


@contextmanager
def member_of(cluster: Cluster) -> Iterator[None]:
    """Connects this process to the cluster."""
    with connected(cluster.address, ["inhand"]):
        yield


class Worker:
    """Notes its calls in a file, and gives what was asked for and by whom it was done.

    It sleeps for the seconds that the order's second part says for its number.
    """

    def __init__(self, number: int, folder: Path) -> None:
        self.number, self.folder = number, folder

    def work(self, life: int, call: int, order: tuple[int, dict[int, float]]) -> dict[str, Any]:
        version, sleeps = order
        with (self.folder / "ledger").open("a") as file:
            print(self.number, life, call, file=file)
        time.sleep(sleeps.get(self.number, 0.02))
        return {
            "name": (self.number, life, call),
            "version": version,
            "pid": os.getpid(),
            "node": ray.get_runtime_context().get_node_id(),
        }


class SlowStarter(Worker):
    """Needs ten seconds to begin."""

    def __init__(self, number: int, folder: Path) -> None:
        time.sleep(10.0)
        super().__init__(number, folder)


def squared(number: int) -> int:
    """The square of a number; a machine may fail on the way."""
    time.sleep(0.2)
    return number**2


def refused(number: int) -> int:
    """Fails as a trial with a wrong input does."""
    from inhand.training.evaluation.trials import EvaluationError

    raise EvaluationError(f"eval: no trial {number}")


def python_without(module: str, folder: Path) -> str:
    """A value of PYTHONPATH with which a module cannot be imported."""
    (folder / f"{module}.py").write_text(f"raise ModuleNotFoundError(name={module!r})\n")
    return os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
