"""A run as a user starts it: recipe, log, curve, resume, refusals."""

import csv
import sys
from pathlib import Path

import pytest
import torch

from inhand.controller.policy.runtime import load_policy
from inhand.hardware.model.hand import load_hand
from inhand.hardware.model.universe import MujocoSettings, Universe
from inhand.perception.objects import load_object
from inhand.training.evaluation import batch_measure
from inhand.training.evaluation.lockstep import run_trial
from inhand.training.evaluation.trials import Rules, Setup
from inhand.training.learning import export
from inhand.training.learning.checkpoint import CheckpointError
from inhand.training.learning.learners import build
from inhand.training.learning.run_files import Paths, read_status
from inhand.training.learning.run_recipe import RECIPES, TrainingError, load_recipe
from inhand.training.learning.student_network import load_student
from inhand.training.learning.teacher import Teacher
from inhand.training.learning.train import main, train

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
        assert [row["iteration"] for row in csv.DictReader(file)] == ["1", "10", "20", "30"]
    assert (tmp_path / "tiny-teacher" / "curve.png").stat().st_size > 1000
    student = write(tmp_path / "student.toml", STUDENT)
    assert train(load_recipe(student), tmp_path, "cpu", 1, None)["iteration"] == 10
    sensing = load_recipe(write(tmp_path / "sensing.toml", 'vary = "sensing"' + STUDENT))
    assert build(sensing, tmp_path, "cpu", 1).worlds.vary == "sensing"
    refined = write(tmp_path / "refined.toml", REFINED)
    assert train(load_recipe(refined), tmp_path, "cpu", 1, None)["iteration"] == 10
    monkeypatch.setattr(batch_measure, "SECONDS_PER_GOAL", 1.0)
    for recipe in (teacher, student, refined):
        score = batch_measure.measure(load_recipe(recipe), tmp_path, trials=3, scale=0.5, seed=1)
        assert score.drops + score.timeouts + score.capped == score.n == 3
    tilted = Universe(gravity=(-6.0, 0.0, -6.0))
    score = batch_measure.measure(load_recipe(refined), tmp_path, 3, 0.0, 1, universe=tilted)
    finer = Universe(mujoco=MujocoSettings(timestep=0.005))
    with pytest.raises(TrainingError, match=r"timestep = 0.005.*inhand eval --engine mujoco"):
        batch_measure.measure(load_recipe(refined), tmp_path, 3, 0.0, 1, universe=finer)
    assert (score.drops, score.mean) == (3, 0.0)
    prism = REFINED.replace("tiny-refined", "prism").replace(
        "[refine]", 'object = "prism"\n[refine]'
    )
    with pytest.raises(CheckpointError, match="another object;"):
        build(load_recipe(write(tmp_path / "prism.toml", prism)), tmp_path, "cpu", 1)
    allowed = write(tmp_path / "allowed.toml", 'from_object = "block"\n' + prism)
    assert build(load_recipe(allowed), tmp_path, "cpu", 1).worlds.target.name == "prism"
    policy = tmp_path / "tiny.onnx"
    argv = ["inhand policy export", refined, "--output", str(policy), "--runs", str(tmp_path)]
    monkeypatch.setattr("sys.argv", argv)
    assert export.main() == 0
    loaded = load_policy(policy, load_hand("dactyl24"), load_object("block"), allowed=None)
    assert loaded.metadata.randomization_scale == 0.5
    assert loaded.metadata.engine == "mujoco"


def test_a_run_says_at_its_end_how_long_it_took(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = load_recipe(write(tmp_path / "teacher.toml", TEACHER))
    train(recipe, tmp_path, "cpu", 1, minutes=1e-6)
    stopped = capsys.readouterr().err.splitlines()[-1]
    assert stopped.startswith("run tiny-teacher: stopped after 0 of 20 iterations, 0.00 M steps in")
    assert stopped.endswith(" minutes; the same command goes on")
    train(recipe, tmp_path, "cpu", 1, None)
    status = read_status(Paths(tmp_path / "tiny-teacher"))
    assert status
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"run tiny-teacher: finished, 0.00 M steps in {status.minutes:.1f} minutes"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TEACHER + "wheels = 4\n", "wheels"),
        (TEACHER.replace("20", '"many"'), "iterations"),
        ("stage = ", "recipe"),
        (TEACHER.replace('"teacher"', '"master"'), "stage"),
        (TEACHER.replace("20", "-1"), "iterations"),
        (TEACHER.replace("16", "0"), r"teacher\.worlds"),
        (TEACHER.replace('"tiny-teacher"', '"../elsewhere"'), r"\$\.run"),
        (TEACHER.replace('"tiny-teacher"', '"/tmp/elsewhere"'), r"\$\.run"),
        (TEACHER.replace('"tiny-teacher"', '"."'), r"\$\.run"),
        (TEACHER + "step_size = -1.0\n", r"teacher\.step_size"),
        (TEACHER + "persistence = 1.0\n", r"teacher\.persistence"),
        (TEACHER + "minibatches = 17\n", r"\[teacher\] minibatches"),
        (TEACHER + "[rewards]\ndropped = nan\n", r"rewards\.dropped"),
        (TEACHER + "[rewards]\ntolerance = inf\n", r"rewards\.tolerance"),
        (TEACHER + "[rewards]\nfinest = 0.5\n", "finest must not exceed tolerance"),
        ("settled = 0.5\n" + TEACHER, "settled has no effect in stage `teacher`"),
        (TEACHER + "[rewards]\nblocked = -0.1\n", "blocked has no effect without `protected"),
        (TEACHER + "[teacher.ranges]\nepisodes = 0\n", r"teacher\.ranges\.episodes"),
        ("universe_scale = -1.0\n" + TEACHER, "universe_scale"),
        (STUDENT.replace("16", "0", 1), r"student\.worlds"),
        (STUDENT + "observation = 3\n", r"student\.observation"),
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
def test_shipped_recipes_are_read_and_continue_runs_of_the_same_hand_and_object(
    path: Path,
) -> None:
    recipe = load_recipe(path.stem)
    assert recipe.run == path.stem
    for before in filter(None, (recipe.from_run, recipe.teacher_run)):
        earlier = load_recipe(before)
        assert earlier.hand == recipe.hand
        assert earlier.object in (recipe.object, recipe.from_object)


PRECISE = """
[rewards]
finest = 0.2
hold_steps = 2
"""
RANGES = """final_deviation = 0.2
anneal_iterations = 20
[teacher.ranges]
episodes = 2
settle_seconds = 0.0
"""


def test_a_precise_student_runs_as_a_policy_file(tmp_path: Path) -> None:
    """Its observation is of the second version, and its memory tells of its world."""
    teacher = load_recipe(write(tmp_path / "teacher.toml", TEACHER + RANGES + PRECISE))
    row = train(teacher, tmp_path, "cpu", 1, None)
    assert row["deviation"] < 0.21
    learner = build(teacher, tmp_path, "cpu", 1)
    learner.resume(tmp_path / "tiny-teacher" / "checkpoint.pt")
    assert learner.worlds.ranges is not None
    assert learner.worlds.ranges.mean_end == pytest.approx(row["universe_scale"])
    extra = "observation = 2\nworld_loss = 0.1\nnormalize_iterations = 2\n"
    student = load_recipe(write(tmp_path / "student.toml", STUDENT + extra + PRECISE))
    assert train(student, tmp_path, "cpu", 1, None)["world_loss"] != 0.0
    refined = write(tmp_path / "refined.toml", REFINED + PRECISE)
    row = train(load_recipe(refined), tmp_path, "cpu", 1, None)
    assert row["iteration"] == 10 and row["world_loss"] != 0.0
    worlds = build(load_recipe(refined), tmp_path, "cpu", 1).worlds
    assert 0.2 <= worlds.tolerance.min() < worlds.tolerance.max() <= 0.4
    network = load_student(worlds, tmp_path / "tiny-refined" / "checkpoint.pt")
    policy = tmp_path / "tiny.onnx"
    hand, block = load_hand("dactyl24"), load_object("block")
    export.export(policy, network, hand, "block", 1.0, export.record(worlds, network, 10))
    loaded = load_policy(policy, hand, block, allowed=None)
    assert loaded.observation_version == 2
    rules = Rules(timeout=1.0, cap=1)
    digest = loaded.sha256
    setup = Setup(
        policy, digest, "mujoco", "dactyl24", "block", None, None, False, rules, seed=1, wires=False
    )
    assert run_trial(setup, 0).end


@pytest.mark.parametrize("device", ["cuda:99", "meta", "nonsense"])
def test_a_device_that_cannot_be_used_is_one_sentence(tmp_path: Path, device: str) -> None:
    recipe = tmp_path / "teacher.toml"
    recipe.write_text(TEACHER)
    with pytest.raises(TrainingError, match=f"--device {device} cannot be used on this machine"):
        train(load_recipe(str(recipe)), tmp_path / "runs", device, 1, None)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--ray", "local", "--actors", "-1"), "--threads and --actors must be at least 0"),
        (("--threads", "-2"), "--threads and --actors must be at least 0"),
        (("--actors", "3"), "--actors counts processes of a Ray cluster; add --ray"),
        (("--minutes", "-2"), "--minutes -2 must be above 0"),
        (("--minutes", "nan"), "--minutes nan must be above 0"),
    ],
)
def test_numbers_that_cannot_be_meant_are_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
) -> None:
    path = write(tmp_path / "teacher.toml", TEACHER)
    monkeypatch.setattr(sys, "argv", ["train", path, "--runs", str(tmp_path / "runs"), *words])
    with pytest.raises(TrainingError, match=f"^train: {said}"):
        main()
    assert not (tmp_path / "runs").exists()


def test_more_worlds_than_memory_are_refused_before_they_are_made(tmp_path: Path) -> None:
    many = load_recipe(write(tmp_path / "many.toml", TEACHER.replace("16", "100000000")))
    with pytest.raises(TrainingError, match="100000000 worlds need about .* set fewer"):
        train(many, tmp_path, "cpu", 1, None)
    assert not (tmp_path / many.run).exists()


def test_too_little_memory_of_a_gpu_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of a run; torch's error is raised by hand, as no GPU is needed here."""
    recipe = load_recipe(write(tmp_path / "teacher.toml", TEACHER))

    def full(_: Teacher) -> dict[str, float]:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB. GPU 0 has ...")

    monkeypatch.setattr(Teacher, "iterate", full)
    with pytest.raises(TrainingError) as refused:
        train(recipe, tmp_path, "cpu", 1, None)
    assert str(refused.value) == (
        "run tiny-teacher: the GPU has too little memory for 16 worlds with their rollouts "
        "(CUDA out of memory); set fewer worlds in the recipe; the last checkpoint is intact"
    )
    status = read_status(Paths(tmp_path / "tiny-teacher"))
    assert status is not None and status.state == "failed"
