"""Pictures are read from files of every kind, and written whole."""

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from inhand.errors import WriteError
from inhand.perception.errors import PerceptionError
from inhand.perception.pictures import picture_files, pictures, read_picture, write_picture
from inhand.perception.tags import Image

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


GREY = cv2.cvtColor(IMAGE, cv2.COLOR_BGR2GRAY)


def exif(orientation: int) -> bytes:
    """A JPEG whose EXIF data ask for a turned display."""
    _, jpeg = cv2.imencode(".jpg", IMAGE, (cv2.IMWRITE_JPEG_QUALITY, 100))
    # A TIFF header, one entry: tag 0x0112 (orientation), type short.
    tiff = struct.pack("<2sHIHHHIHHI", b"II", 42, 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    body = b"Exif\0\0" + tiff
    marker = b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
    data = jpeg.tobytes()
    return data[:2] + marker + data[2:]


@pytest.mark.parametrize(
    ("name", "image", "tolerance"),
    [
        ("a.PNG", IMAGE, 1),
        ("a.JPG", IMAGE, 60),
        ("a.bmp", GREY, 0),
        ("a.TIFF", IMAGE, 1),
        ("a.png", GREY.astype(np.uint16) * 257, 0),
        ("a.tif", GREY.astype(np.uint16) * 16, 8),
        ("a.png", np.dstack([IMAGE, np.full(GREY.shape, 255, np.uint8)]), 1),
    ],
)
def test_pictures_of_every_kind_are_read_as_grey(
    tmp_path: Path, name: str, image: Image, tolerance: int
) -> None:
    path = tmp_path / name
    ok, data = cv2.imencode(path.suffix.lower(), image)
    assert ok
    path.write_bytes(data.tobytes())
    ((found, seen),) = pictures(tmp_path)
    assert found == path and seen.dtype == np.uint8 and seen.shape == GREY.shape
    assert np.abs(seen.astype(int) - GREY).max() <= tolerance


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_picture_is_as_the_sensor_took_it(tmp_path: Path, orientation: int) -> None:
    path = tmp_path / "phone.jpg"
    path.write_bytes(exif(orientation))
    # OpenCV itself turns it.
    turned = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    assert (turned.shape == GREY.shape) == (orientation in (1, 3))
    seen = read_picture(path)
    assert seen.shape == GREY.shape and np.abs(seen.astype(int) - GREY).max() <= 60


def test_no_picture_counts_twice(tmp_path: Path) -> None:
    write_picture(tmp_path / "000.png", IMAGE)
    write_picture(tmp_path / "001.png", 255 - IMAGE)
    write_picture(tmp_path / "copy.png", IMAGE)
    write_picture(tmp_path / "left-residuals.png", IMAGE // 2)
    (tmp_path / "notes.txt").write_text("no picture")
    assert [path.name for path, _ in pictures(tmp_path)] == ["000.png", "001.png"]
    assert len(picture_files(tmp_path)) == 3


def test_a_broken_picture_is_named(tmp_path: Path) -> None:
    with pytest.raises(PerceptionError, match="holds no picture"):
        list(pictures(tmp_path))
    for data in (b"", b"no picture"):
        (tmp_path / "000.png").write_bytes(data)
        with pytest.raises(PerceptionError, match=r"000\.png cannot be read; is the file complete"):
            list(pictures(tmp_path))


def test_a_picture_of_other_numbers_is_named(tmp_path: Path) -> None:
    path = tmp_path / "depth.tiff"
    path.write_bytes(cv2.imencode(".tiff", GREY.astype(np.float32))[1].tobytes())
    with pytest.raises(PerceptionError, match=r"depth\.tiff has numbers of type float32"):
        read_picture(path)
