"""Training on a real Ray cluster goes on when its parts fail, and counts nothing twice."""

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("ray", reason="needs the extra `cluster`")

import ray
from ray.cluster_utils import Cluster

from inhand.training.cluster.connection import ClusterError
from inhand.training.learning.distributed import DistributedLearner
from inhand.training.learning.learners import build
from inhand.training.learning.rollout_actor import with_settings
from inhand.training.learning.run_recipe import RunRecipe, load_recipe
from tests.training.cluster.machines import add_node, member_of, two_nodes
from tests.training.learning.test_train import REFINED, STUDENT, TEACHER, write

pytestmark = pytest.mark.slow

WORLDS, HORIZON = 16, 4

LIMIT = 600.0
"""After which an event that does not come fails the test [s]; a loaded machine is slow."""


@pytest.fixture(scope="module")
def machines() -> Iterator[tuple[Cluster, Any]]:
    with two_nodes() as both:
        yield both


@pytest.fixture
def recipe(tmp_path: Path) -> RunRecipe:
    return load_recipe(write(tmp_path / "teacher.toml", TEACHER))


@pytest.fixture
def learner(
    machines: tuple[Cluster, Any], recipe: RunRecipe, tmp_path: Path
) -> Iterator[DistributedLearner]:
    with member_of(machines[0]):
        made = DistributedLearner(recipe, tmp_path, "cpu", actors=2, patience=15.0)
        until_both_act(made)
        yield made
        made.close()
        idle()


def idle() -> None:
    """Waits until no actor is left."""
    deadline = time.monotonic() + LIMIT
    while ray.available_resources().get("CPU", 0) < ray.cluster_resources()["CPU"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def iterate_until(learner: DistributedLearner, done: Callable[[dict[str, float]], bool]) -> None:
    deadline = time.monotonic() + LIMIT
    while not done(learner.iterate()):
        assert time.monotonic() < deadline


def until_both_act(learner: DistributedLearner) -> None:
    iterate_until(learner, lambda row: row["actors"] == 2)


def iterate_until_lost(learner: DistributedLearner, before: int) -> None:
    """Until more chunks are lost than before: a start that took too long may have lost some."""
    iterate_until(learner, lambda row: row["chunks_lost"] > before)


def lost_so_far(learner: DistributedLearner) -> int:
    assert learner.pool is not None
    return learner.pool.counts.lost + learner.pool.counts.hung


def nothing_was_counted_twice(learner: DistributedLearner) -> None:
    assert learner.pool is not None
    counts = learner.pool.counts
    assert counts.repeated == 0
    # Two chunks an iteration, of half the worlds each.
    assert counts.results == 2 * learner.iteration
    assert learner.steps == learner.iteration * WORLDS * HORIZON


def processes() -> dict[int, str]:
    """Actors on this machine, as Ray names their processes."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                name = (folder / "cmdline").read_bytes().partition(b"\0")[0].decode()
            except OSError:
                continue
            if name.startswith("ray::_Host") and ray_of(folder):
                found[int(folder.name)] = name
    return found


def ray_of(folder: Path) -> bool:
    """Whether a process is of a cluster that this one started."""
    parents = {os.getpid()}
    pid = int(folder.name)
    while pid > 1:
        if pid in parents:
            return True
        fields = (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()
        pid = int(fields[1])
    return False


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_training_goes_on_without_an_actor(learner: DistributedLearner, number: int) -> None:
    one, before = min(processes()), lost_so_far(learner)
    os.kill(one, number)
    iterate_until_lost(learner, before)
    until_both_act(learner)
    # Ray ends a process that is stopped some time after it has replaced its actor.
    deadline = time.monotonic() + LIMIT
    while one in processes():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    nothing_was_counted_twice(learner)


def test_training_goes_on_without_a_node(
    machines: tuple[Cluster, Any], learner: DistributedLearner
) -> None:
    cluster, node = machines[0], machines[0].list_all_nodes()[-1]
    lost = lost_so_far(learner)
    cluster.remove_node(node)
    iterate_until_lost(learner, lost)
    before = learner.iteration
    iterate_until(learner, lambda row: row["iteration"] == before + 5)
    nothing_was_counted_twice(learner)
    add_node(cluster)
    until_both_act(learner)
    nothing_was_counted_twice(learner)


def test_more_worlds_than_memory_are_refused(
    machines: tuple[Cluster, Any], recipe: RunRecipe, tmp_path: Path
) -> None:
    many = with_settings(recipe, 10**8, 1)
    with member_of(machines[0]), pytest.raises(ClusterError, match="the cluster has room for 0"):
        DistributedLearner(many, tmp_path, "cpu", actors=2)


PROGRAM = """
import sys
from inhand.training.learning import train
train.SAVE_SECONDS = 0.5
sys.exit(train.main())
"""


def command(recipe: Path, runs: Path, address: str) -> list[str]:
    words = [str(recipe), "--runs", str(runs), "--ray", address, "--actors", "2", "--threads", "1"]
    return [sys.executable, "-c", PROGRAM, *words]


def test_a_killed_learner_is_resumed_from_its_checkpoint(
    machines: tuple[Cluster, Any], tmp_path: Path
) -> None:
    path = tmp_path / "teacher.toml"
    write(path, TEACHER.replace("iterations = 20", "iterations = 1000000"))
    checkpoint, address = tmp_path / "tiny-teacher" / "checkpoint.pt", machines[0].address
    process = subprocess.Popen(command(path, tmp_path, address), stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + LIMIT
        while not checkpoint.exists():
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        process.kill()
        process.wait()
    kept, steps, _ = torch.load(checkpoint, weights_only=True)["counters"]
    assert steps == kept * WORLDS * HORIZON
    # Ray ends the actors of a program that is gone.
    with member_of(machines[0]):
        idle()
    last = kept + 15
    write(path, TEACHER.replace("iterations = 20", f"iterations = {last}"))
    done = subprocess.run(
        command(path, tmp_path, address), capture_output=True, text=True, timeout=LIMIT
    )
    assert done.returncode == 0, done.stderr
    assert f"at iteration {kept}" in done.stdout
    iteration, steps, _ = torch.load(checkpoint, weights_only=True)["counters"]
    assert (iteration, steps) == (last, last * WORLDS * HORIZON)
    with (tmp_path / "tiny-teacher" / "log.csv").open(newline="") as file:
        logged = [int(row["iteration"]) for row in csv.DictReader(file)]
    assert logged == sorted(set(logged))


def test_all_stages_train_and_their_checkpoints_are_those_of_one_machine(
    machines: tuple[Cluster, Any], tmp_path: Path
) -> None:
    ranges = "\n[refine.ranges]\nepisodes = 1\nsettle_seconds = 0.0\nboundary = 1.0\n"
    with member_of(machines[0]):
        for name, text in (("teacher", TEACHER), ("student", STUDENT), ("refined", REFINED)):
            text = text + (ranges if name == "refined" else "")
            recipe = load_recipe(write(tmp_path / f"{name}.toml", text))
            learner = DistributedLearner(recipe, tmp_path, "cpu", actors=2)
            row = {}
            for _ in range(recipe.iterations):
                row = learner.iterate()
            assert row["iteration"] == recipe.iterations
            assert row["steps"] == recipe.iterations * WORLDS * HORIZON
            learner.close()
            learner.save(tmp_path / recipe.run / "checkpoint.pt")
            idle()
            here = build(recipe, tmp_path, "cpu", 1)
            here.resume(tmp_path / recipe.run / "checkpoint.pt")
            assert here.iterate()["iteration"] == recipe.iterations + 1
