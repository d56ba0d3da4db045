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


def typed(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    (folder / "tiny.toml").write_text(LEARNS)
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
