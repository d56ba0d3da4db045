"""`inhand train --engine warp`: it learns on the CPU, and refuses what it cannot do."""

import subprocess
import sys
from pathlib import Path

import pytest

from inhand.training.learning.run_files import read_log

LEARNS = """
stage = "teacher"
run = "warp"
iterations = 30
[rewards]
seconds_per_goal = 2.0
[teacher]
worlds = 64
horizon = 8
epochs = 4
start_distance = 0.5
normalize_iterations = 5
"""


STUDENT = """
stage = "student"
run = "student"
from_run = "warp"
iterations = 8
[student]
worlds = 32
horizon = 4
hidden = 32
decay_iterations = 10
world_loss = 0.05
observation = 2
"""

REFINED = """
stage = "refine"
run = "refined"
from_run = "student"
teacher_run = "warp"
iterations = 4
[refine]
worlds = 32
horizon = 4
minibatches = 2
critic_iterations = 1
[refine.ranges]
episodes = 1
settle_seconds = 0.0
boundary = 1.0
"""


def typed(folder: Path, *words: str, recipe: str = LEARNS) -> "subprocess.CompletedProcess[str]":
    (folder / "tiny.toml").write_text(recipe)
    command = [sys.executable, "-m", "inhand", "train", "tiny.toml", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=3000)


@pytest.mark.slow
def test_a_teacher_learns_in_warp(tmp_path: Path) -> None:
    pytest.importorskip("mujoco_warp")
    done = typed(tmp_path, "--engine", "warp", "--device", "cpu", "--threads", "1")
    assert done.returncode == 0, done.stderr
    assert "load on device" not in done.stdout + done.stderr
    _, first, _, last = read_log(tmp_path / "runs/warp/log.csv")
    assert last["goals_per_minute"] > 1.3 * first["goals_per_minute"] > 0.0
    assert last["explained"] > first["explained"]


@pytest.mark.slow
def test_a_student_and_its_refinement_learn_in_warp(tmp_path: Path) -> None:
    """All stages with one engine; and the last one goes on with the other."""
    pytest.importorskip("mujoco_warp")
    short = LEARNS.replace("iterations = 30", "iterations = 2")
    words = "--engine", "warp", "--device", "cpu", "--threads", "1"
    for recipe in (short, STUDENT, REFINED):
        done = typed(tmp_path, *words, recipe=recipe)
        assert done.returncode == 0, done.stderr
    first, *_, last = read_log(tmp_path / "runs/student/log.csv")
    assert last["loss"] < 0.8 * first["loss"]
    (*_, last) = read_log(tmp_path / "runs/refined/log.csv")
    assert last["iteration"] == 4 and last["steps"] == 4 * 4 * 32
    more = REFINED.replace("iterations = 4", "iterations = 5")
    done = typed(tmp_path, "--threads", "1", recipe=more)
    assert done.returncode == 0 and "at iteration 4" in done.stdout, done.stderr


def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    program = (
        "import sys; from importlib import metadata; before = metadata.version\n"
        "def version(name):\n"
        "    if name == 'mujoco-warp': raise metadata.PackageNotFoundError(name)\n"
        "    return before(name)\n"
        "metadata.version = version; sys.modules['mujoco_warp'] = None\n"
        "sys.argv = ['inhand', 'train', 'tiny.toml', '--engine', 'warp']\n"
        "from inhand.controller.cli.main import main; main()"
    )
    (tmp_path / "tiny.toml").write_text(LEARNS)
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.endswith(
        "mujoco_warp is not installed; install it with `pip install 'inhand[train-gpu]'`"
    )
    assert not (tmp_path / "runs").exists()


def test_a_cluster_steps_its_worlds_on_cores(tmp_path: Path) -> None:
    done = typed(tmp_path, "--engine", "warp", "--ray", "local")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "error: train: --ray and --engine warp do not go together; leave one out"
    )
