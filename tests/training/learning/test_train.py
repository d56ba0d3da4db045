"""A run as a user starts it: recipe, log, curve, resume, refusals."""

import csv
from pathlib import Path

import pytest

from inhand.controller.policy.runtime import load_policy
from inhand.hardware.model.hand import load_hand
from inhand.perception.objects import load_object
from inhand.training.evaluation import batch_measure
from inhand.training.learning import export
from inhand.training.learning.checkpoint import CheckpointError
from inhand.training.learning.run_recipe import RECIPES, TrainingError, load_recipe
from inhand.training.learning.train import build, train

TEACHER = """
stage = "teacher"
run = "tiny-teacher"
iterations = 20
[teacher]
worlds = 16
horizon = 4
"""
STUDENT = """
stage = "student"
run = "tiny-student"
from_run = "tiny-teacher"
iterations = 10
universe_scale = 0.5
[student]
worlds = 16
horizon = 4
hidden = 16
"""
REFINED = """
stage = "refine"
run = "tiny-refined"
from_run = "tiny-student"
teacher_run = "tiny-teacher"
iterations = 10
universe_scale = 0.5
[refine]
worlds = 16
horizon = 4
critic_iterations = 2
"""


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def test_from_recipe_to_policy_file_and_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher = write(tmp_path / "teacher.toml", TEACHER)
    assert train(load_recipe(teacher), tmp_path, "cpu", 1, None)["iteration"] == 20
    longer = write(tmp_path / "longer.toml", TEACHER.replace("= 20", "= 30"))
    assert train(load_recipe(longer), tmp_path, "cpu", 1, None)["steps"] == 30 * 16 * 4
    with (tmp_path / "tiny-teacher" / "log.csv").open() as file:
        assert [row["iteration"] for row in csv.DictReader(file)] == ["10", "20", "30"]
    assert (tmp_path / "tiny-teacher" / "curve.png").stat().st_size > 1000
    student = write(tmp_path / "student.toml", STUDENT)
    assert train(load_recipe(student), tmp_path, "cpu", 1, None)["iteration"] == 10
    sensing = load_recipe(write(tmp_path / "sensing.toml", 'vary = "sensing"' + STUDENT))
    assert build(sensing, tmp_path, "cpu", 1).worlds.variation.vary == "sensing"
    refined = write(tmp_path / "refined.toml", REFINED)
    assert train(load_recipe(refined), tmp_path, "cpu", 1, None)["iteration"] == 10
    monkeypatch.setattr(batch_measure, "SECONDS_PER_GOAL", 1.0)
    for recipe in (teacher, student, refined):
        score = batch_measure.measure(load_recipe(recipe), tmp_path, trials=3, scale=0.5, seed=1)
        assert score.drops + score.timeouts + score.capped == score.n == 3
    prism = REFINED.replace("tiny-refined", "prism").replace(
        "[refine]", 'object = "prism"\n[refine]'
    )
    with pytest.raises(CheckpointError, match="another object;"):
        build(load_recipe(write(tmp_path / "prism.toml", prism)), tmp_path, "cpu", 1)
    allowed = write(tmp_path / "allowed.toml", 'from_object = "block"\n' + prism)
    assert build(load_recipe(allowed), tmp_path, "cpu", 1).worlds.target.name == "prism"
    policy = tmp_path / "tiny.onnx"
    argv = ["inhand policy", "export", refined, "--output", str(policy), "--runs", str(tmp_path)]
    monkeypatch.setattr("sys.argv", argv)
    assert export.main() == 0
    loaded = load_policy(policy, load_hand("dactyl24"), load_object("block"), allowed=None)
    assert loaded.metadata.randomization_scale == 0.5
    assert loaded.metadata.engine == "mujoco"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TEACHER + "wheels = 4\n", "wheels"),
        (TEACHER.replace("20", '"many"'), "iterations"),
        ("stage = ", "recipe"),
        (TEACHER.replace('"teacher"', '"master"'), "stage"),
    ],
)
def test_a_wrong_recipe_is_refused_with_its_name(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path / "wrong.toml", text)
    with pytest.raises(TrainingError, match=message) as caught:
        load_recipe(path)
    assert "wrong.toml" in str(caught.value)


def test_an_unknown_recipe_names_the_known_ones() -> None:
    with pytest.raises(TrainingError, match="block-teacher"):
        load_recipe("nonesuch")


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_recipes_are_read(path: Path) -> None:
    assert load_recipe(path.stem).run
