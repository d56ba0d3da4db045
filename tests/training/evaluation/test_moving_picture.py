"""The moving picture is of a real trial of the policy."""

import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

COMMAND = (sys.executable, "-m", "inhand.training.evaluation.moving_picture")


def test_a_trial_becomes_a_moving_picture(tmp_path: Path) -> None:
    file = tmp_path / "images" / "turning.webp"
    small = ("--goals", "1", "--width", "160", "--height", "120")
    said = subprocess.run(
        [*COMMAND, str(file), *small], check=True, capture_output=True, text=True
    ).stdout
    with Image.open(file) as picture:
        assert picture.size == (160, 120)
        # A goal that is not reached at once: the frames differ.
        assert picture.n_frames > 10
        first = np.asarray(picture.convert("RGB"), float)
        picture.seek(picture.n_frames - 1)
        last = np.asarray(picture.convert("RGB"), float)
        assert f"{picture.n_frames} frames" in said
    assert np.abs(first - last).max() > 100


def test_a_file_that_cannot_be_written_is_refused_before_the_trial(tmp_path: Path) -> None:
    ended = subprocess.run(
        [*COMMAND, str(tmp_path / "turning.gif")], capture_output=True, text=True
    )
    assert ended.returncode == 1
    assert "turning.gif" in ended.stderr and ".webp" in ended.stderr
