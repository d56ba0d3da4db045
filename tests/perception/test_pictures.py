"""Pictures are written whole, in the format that their ending names."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from inhand.errors import WriteError
from inhand.perception.errors import PerceptionError
from inhand.perception.pictures import write_picture

IMAGE = np.random.default_rng(1).integers(0, 255, (20, 30, 3), np.uint8)


def test_a_picture_is_read_back(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png", IMAGE)
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "a.png")), IMAGE)


@pytest.mark.parametrize("name", ["picture", "picture.toml"])
def test_an_ending_without_a_format_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(PerceptionError, match=r"no picture format ends so; name a \.png file"):
        write_picture(tmp_path / name, IMAGE)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match=r"nowhere/a\.png cannot be written: No such file"):
        write_picture(tmp_path / "nowhere" / "a.png", IMAGE)
