"""The moving picture is of a real trial of the policy."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
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
    assert [path.name for path in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("turning.gif", (), "turning.gif: the picture is an animated WebP; end in .webp"),
        ("turning.webp", ("--goals", "0"), "--goals and --trial must be at least 1"),
        ("turning.webp", ("--width", "8"), "--width and --height must lie in 80..2000"),
        ("turning.webp", ("--quality", "101"), "--quality 101 must lie in 0..100"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(
    tmp_path: Path, name: str, options: tuple[str, ...], words: str
) -> None:
    ended = subprocess.run(
        [*COMMAND, str(tmp_path / name), *options], capture_output=True, text=True
    )
    assert ended.returncode == 1
    assert words in ended.stderr and "Traceback" not in ended.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("packages", "words"),
    [
        (["pybullet"], "pybullet not installed; run `pip install 'inhand[sim]'`"),
        (["PIL"], "PIL not installed; run `pip install 'inhand[train]'`"),
        (
            ["pybullet", "PIL"],
            "pybullet and PIL not installed; run `pip install 'inhand[sim,train]'`",
        ),
    ],
)
def test_without_its_extras_it_says_what_to_install(
    tmp_path: Path, packages: list[str], words: str
) -> None:
    program = (
        f"import runpy, sys; sys.modules.update(dict.fromkeys({packages!r})); "
        f"sys.argv = ['moving_picture', {str(tmp_path / 'a.webp')!r}]; "
        f"runpy.run_module({COMMAND[-1]!r}, run_name='__main__')"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (1, f"error: moving picture: {words}\n")
