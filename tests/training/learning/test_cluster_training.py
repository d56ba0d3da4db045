"""`inhand train` and `inhand sweep` with `--ray`, as a user types them."""

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="needs the extra `cluster`")

from inhand.training.cluster.connection import ClusterError
from inhand.training.learning.grid import Variant, parse_grid, variants, write_recipe
from inhand.training.learning.run_files import read_log
from inhand.training.learning.run_recipe import load_recipe
from inhand.training.learning.runs import list_runs
from inhand.training.learning.sweep import sweep
from inhand.training.learning.sweep_cluster import check_shared, on_cluster
from inhand.training.learning.sweep_runner import Job
from tests.training.cluster.machines import member_of, two_nodes
from tests.training.learning.test_sweep import TINY
from tests.training.learning.test_warp_training import LEARNS

pytestmark = pytest.mark.slow

GRID = ("--grid", "teacher.seed=1,2,3")


def typed(folder: Path, verb: str, text: str, *words: str) -> "subprocess.Popen[str]":
    (folder / "tiny.toml").write_text(text)
    return subprocess.Popen(
        [sys.executable, "-m", "inhand", verb, "tiny.toml", *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def done(process: "subprocess.Popen[str]") -> str:
    """Waits for its end; returns what it printed."""
    out, err = process.communicate(timeout=900)
    assert process.returncode == 0, err
    return out


def test_a_teacher_learns_on_a_local_cluster(tmp_path: Path) -> None:
    done(typed(tmp_path, "train", LEARNS, "--ray", "local", "--threads", "1"))
    _, first, _, last = read_log(tmp_path / "runs/warp/log.csv")
    assert last["goals_per_minute"] > 1.3 * first["goals_per_minute"] > 0.0
    assert last["explained"] > first["explained"]
    assert last["actors"] >= 1 and last["chunks_lost"] == 0


def test_a_sweep_on_a_cluster_gives_what_one_machine_gives(tmp_path: Path) -> None:
    found = []
    for name, how in (("here", ("--jobs", "1")), ("there", ("--ray", "local"))):
        words = (*GRID, "--name", name, "--json", *how)
        made = json.loads(done(typed(tmp_path, "sweep", TINY, *words)))
        assert [one["run"]["state"] for one in made] == ["finished"] * 3
        logs = sorted((tmp_path / "runs" / name).glob("*/log.csv"))
        found.append([[row["goals"] for row in read_log(log)] for log in logs])
    assert len(found[0]) == 3 and found[0] == found[1]


def test_a_stopped_sweep_on_a_cluster_saves_its_runs(tmp_path: Path) -> None:
    endless = TINY.replace("iterations = 2", "iterations = 100000")
    process = typed(tmp_path, "sweep", endless, *GRID, "--ray", "local")
    log = tmp_path / "runs/tiny-sweep/teacher.seed=1/log.csv"
    while not log.exists():
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    done(process)
    states = {run.state for run in list_runs(tmp_path / "runs")}
    assert states == {"stopped"}


def variants_of(folder: Path, text: str) -> list[Variant]:
    (folder / "tiny.toml").write_text(text)
    recipe = load_recipe(str(folder / "tiny.toml"))
    return variants(recipe, parse_grid(["teacher.seed=1,2"]), "mine")


def test_a_run_goes_on_when_its_machine_is_gone(tmp_path: Path) -> None:
    made = variants_of(tmp_path, TINY.replace("iterations = 2", "iterations = 30"))
    logs = [tmp_path / one.recipe.run / "log.csv" for one in made]
    with two_nodes() as (cluster, node), member_of(cluster):
        runner = on_cluster()

        def failing(jobs: list[Job], ended: object) -> None:
            def lose() -> None:
                while not all(log.exists() for log in logs):
                    time.sleep(0.1)
                cluster.remove_node(node)

            thread = threading.Thread(target=lose)
            thread.start()
            runner(jobs, ended)  # type: ignore[arg-type]
            thread.join()

        results = sweep(made, tmp_path, ("--threads", "1"), failing)  # type: ignore[arg-type]
    assert [one.run.state for one in results] == ["finished"] * 2
    assert [one.run.iteration for one in results] == [30, 30]


def test_a_machine_that_does_not_see_the_runs_is_named(tmp_path: Path) -> None:
    made = variants_of(tmp_path, TINY)
    folder = tmp_path / made[0].recipe.run
    write_recipe(made[0], folder / "recipe.toml")
    unseen = tmp_path / "elsewhere"
    with two_nodes() as (cluster, _), member_of(cluster):
        check_shared([Job(folder, ())])
        with pytest.raises(ClusterError, match=r"does not see .*elsewhere; put --runs on storage"):
            check_shared([Job(folder, ()), Job(unseen, ())])
