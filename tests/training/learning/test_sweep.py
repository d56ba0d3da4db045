"""`inhand sweep`: grids, runs side by side, and what happens when one fails or is stopped."""

import csv
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from inhand.training.learning.grid import parse_grid, variants, write_recipe
from inhand.training.learning.run_recipe import TrainingError, load_recipe
from inhand.training.learning.runs import list_runs
from inhand.training.learning.sweep import sweep
from inhand.training.learning.sweep_runner import Ended, Job

TINY = """
stage = "teacher"
run = "tiny"
iterations = 2
[teacher]
worlds = 4
horizon = 2
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path


def test_a_grid_is_every_combination(recipe: Path) -> None:
    axes = parse_grid(["teacher.step_size=1e-4,3e-4", "vary=physics,sensing", "teacher.seed=1"])
    made = variants(load_recipe(str(recipe)), axes, "mine")
    assert [one.recipe.teacher.step_size for one in made] == [1e-4, 1e-4, 3e-4, 3e-4]
    assert [one.recipe.vary for one in made] == ["physics", "sensing"] * 2
    assert made[0].recipe.run == "mine/teacher.step_size=0.0001,vary=physics,teacher.seed=1"
    assert len({one.recipe.run for one in made}) == 4
    # What is not varied stays.
    assert all(one.recipe.teacher.worlds == 4 for one in made)


def test_a_table_that_the_recipe_lacks_can_be_varied(recipe: Path) -> None:
    made = variants(load_recipe(str(recipe)), parse_grid(["teacher.ranges.step=0.1,0.2"]), "mine")
    ranges = [one.recipe.teacher.ranges for one in made]
    assert [one.step for one in ranges if one] == [0.1, 0.2]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "nothing to vary"),
        (["teacher.seed"], "expected KEY=VALUE"),
        (["teacher.seed="], "expected KEY=VALUE"),
        (["=1"], "expected KEY=VALUE"),
        (["teacher.seed=1", "teacher.seed=2"], "given twice"),
        (["teacher.seed=1,1"], "value is given twice"),
        (["run=a,b"], "cannot be varied"),
        (["teacher.wheels=4"], "wheels"),
        (["teacher.seed=many"], r"int.*teacher\.seed"),
        (["teacher.seed.depth=1"], "seed has no keys"),
        (["vary=physics,magic"], "magic"),
    ],
)
def test_a_wrong_grid_is_one_sentence(recipe: Path, words: list[str], message: str) -> None:
    with pytest.raises(TrainingError, match=message) as caught:
        variants(load_recipe(str(recipe)), parse_grid(words), "mine")
    assert str(caught.value).startswith("sweep: ") and "\n" not in str(caught.value)


def test_a_recipe_is_not_continued_as_another_one(recipe: Path, tmp_path: Path) -> None:
    axes = parse_grid(["teacher.seed=1"])
    (one,) = variants(load_recipe(str(recipe)), axes, "mine")
    write_recipe(one, tmp_path / "run" / "recipe.toml")
    assert load_recipe(str(tmp_path / "run" / "recipe.toml")) == one.recipe
    recipe.write_text(TINY.replace("iterations = 2", "iterations = 9"))
    (longer,) = variants(load_recipe(str(recipe)), axes, "mine")
    write_recipe(longer, tmp_path / "run" / "recipe.toml")
    recipe.write_text(TINY.replace("worlds = 4", "worlds = 8"))
    (other,) = variants(load_recipe(str(recipe)), axes, "mine")
    with pytest.raises(TrainingError, match="another recipe"):
        write_recipe(other, tmp_path / "run" / "recipe.toml")


def test_another_runner_can_take_the_place_of_this_machine(recipe: Path, tmp_path: Path) -> None:
    """The table is written after each run, so that a sweep that is killed leaves one."""
    made = variants(load_recipe(str(recipe)), parse_grid(["teacher.seed=1,2,3"]), "mine")
    tables = []

    def runner(jobs: "list[Job]", ended: Ended) -> None:
        for number, job in enumerate(jobs):
            assert job.arguments[0] == "train" and job.arguments[-2:] == ("--threads", "1")
            (job.folder / "output.txt").write_text("noise\nerror: no more memory\n")
            (job.folder / "log.csv").write_text(f"iteration,steps,goals\n2,16,{number}\n")
            ended(job, (0, 1, -9)[number])
            tables.append((tmp_path / "mine" / "sweep.csv").read_text().count(",16,"))

    results = sweep(made, tmp_path, ("--threads", "1"), runner)  # type: ignore[arg-type]
    assert tables == [1, 2, 3]
    assert [one.run.state for one in results] == ["stopped", "failed", "failed"]
    assert [one.run.problem for one in results] == [
        *("", "error: no more memory", "killed by signal 9")
    ]
    with (tmp_path / "mine" / "sweep.csv").open() as file:
        assert [line["teacher.seed"] for line in csv.DictReader(file)] == ["3", "2", "1"]
    assert "error: no more memory" in (tmp_path / "mine" / "sweep.md").read_text()


def typed(folder: Path, *words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "inhand", "sweep", "tiny.toml", *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_runs_are_trained_side_by_side_and_one_failure_is_not_all(recipe: Path) -> None:
    words = ("--grid", 'from_run="",nonesuch', "--jobs", "2", "--json")
    with typed(recipe.parent, *words) as process:
        out, err = process.communicate(timeout=300)
    assert process.returncode == 1, err
    good, bad = json.loads(out)
    assert good["run"]["state"] == "finished" and good["run"]["iteration"] == 2
    assert bad["run"]["state"] == "failed" and "nonesuch" in bad["run"]["problem"]
    assert "| nonesuch | failed |" in (recipe.parent / "runs/tiny-sweep/sweep.md").read_text()


@pytest.mark.slow
def test_a_stopped_sweep_saves_its_runs_and_goes_on(recipe: Path) -> None:
    recipe.write_text(TINY.replace("iterations = 2", "iterations = 100000"))
    words = ("--grid", "teacher.seed=1,2,3", "--jobs", "2")
    with typed(recipe.parent, *words) as process:
        output = recipe.parent / "runs/tiny-sweep/teacher.seed=1/log.csv"
        while not output.exists():
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    first, *others = list_runs(recipe.parent / "runs")
    assert first.state == "stopped" and not first.problem and first.iteration > 0
    # The second had perhaps not begun to train, the third has never been started.
    assert len(others) < 2 and not any(run.problem for run in others)
    recipe.write_text(TINY.replace("iterations = 2", f"iterations = {first.iteration + 3}"))
    with typed(recipe.parent, *words) as process:
        assert process.wait(300) == 0
    assert [run.state for run in list_runs(recipe.parent / "runs")] == ["finished"] * 3
