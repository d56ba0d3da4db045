"""Intrinsics are read from the files of ROS, OpenCV and Kalibr, and impossible ones are refused."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from inhand.perception.calibration.camera_info import Intrinsics, load_intrinsics, save_intrinsics
from inhand.perception.cameras import CameraError
from inhand.perception.records import frozen_array

MATRIX = np.array([[431.0, 0.0, 165.0], [0.0, 428.0, 116.0], [0.0, 0.0, 1.0]])
RATIONAL = [0.3, -0.2, 0.001, -0.002, 0.02, 0.6, -0.15, 0.01]

ROS_BLOCKS = """image_width: 320
image_height: 240
camera_name: left
camera_matrix:
  rows: 3
  cols: 3
  data:
    - 431.0
    - 0
    - 165.
    - 0
    - 4.28e2
    - 116
    - 0
    - 0
    - 1
distortion_coefficients:
  rows: 1
  cols: 5
  data: [-0.18, 7e-2, 1e-3, -0.0015, 0]
"""

ROS_MESSAGE = """header:
  seq: 12
  frame_id: left
height: 240
width: 320
distortion_model: rational_polynomial
D: [0.3, -0.2, 0.001, -0.002, 0.02, 0.6, -0.15, 0.01]
K: [431.0, 0.0, 165.0, 0.0, 428.0, 116.0, 0.0, 0.0, 1.0]
R: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
binning_x: 0
binning_y: 0
roi: {x_offset: 0, y_offset: 0, height: 0, width: 0, do_rectify: false}
---
header:
  seq: 13
"""

KALIBR = """cam0:
  cam_overlaps: [1]
  camera_model: pinhole
  distortion_coeffs: [0.05, -0.01, 0.003, -0.001]
  distortion_model: equidistant
  intrinsics: [431.0, 428.0, 165.0, 116.0]
  resolution: [320, 240]
  rostopic: /left/image_raw
cam1:
  camera_model: pinhole
  distortion_coeffs: [-0.18, 0.07, 0.001, -0.0015]
  distortion_model: radtan
  intrinsics: [500.0, 500.0, 160.0, 120.0]
  resolution: [320, 240]
  rostopic: /right/image_raw
"""

DUMP = """K:
- [431.0, 0.0, 165.0]
- [0.0, 428.0, 116.0]
- [0.0, 0.0, 1.0]
D: [[0.05], [-0.01], [0.003], [-0.001]]
model: fisheye
image_size: [320, 240]
"""


def read(tmp_path: Path, text: str, name: str = "") -> Intrinsics:
    path = tmp_path / "left.yaml"
    path.write_text(text)
    return load_intrinsics(path, name)


@pytest.mark.parametrize(
    ("text", "name", "model", "distortion"),
    [
        (ROS_BLOCKS, "", "pinhole", [-0.18, 0.07, 0.001, -0.0015, 0.0]),
        (ROS_MESSAGE, "", "pinhole", RATIONAL),
        (KALIBR, "cam0", "fisheye", [0.05, -0.01, 0.003, -0.001]),
        (KALIBR, "/left/image_raw", "fisheye", [0.05, -0.01, 0.003, -0.001]),
        (DUMP, "", "fisheye", [0.05, -0.01, 0.003, -0.001]),
    ],
)
def test_files_of_other_programs_are_read(
    tmp_path: Path, text: str, name: str, model: str, distortion: list[float]
) -> None:
    found = read(tmp_path, text, name)
    np.testing.assert_array_equal(found.matrix, MATRIX)
    np.testing.assert_array_equal(found.distortion, distortion)
    assert (found.width, found.height, found.model) == (320, 240, model)


@pytest.mark.parametrize("count", [4, 5, 8, 12, 14])
def test_what_opencv_stores_is_read(tmp_path: Path, count: int) -> None:
    path = tmp_path / "left.yaml"
    numbers = np.array([*RATIONAL, 0.001, -0.001, 0.002, 0.0005, 0.01, -0.02])[:count]
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    storage.write("image_width", 320)
    storage.write("image_height", 240)
    storage.write("camera_matrix", MATRIX)
    storage.write("distortion_coefficients", numbers[:, None])
    storage.release()
    # OpenCV 5 writes a directive of YAML; every version before wrote one that is none.
    first, _, rest = path.read_text().partition("\n")
    assert first.startswith("%YAML")
    path.write_text("%YAML:1.0\n" + rest)
    found = load_intrinsics(path)
    np.testing.assert_allclose(found.matrix, MATRIX, rtol=1e-15)
    np.testing.assert_allclose(found.distortion, np.pad(numbers, (0, max(0, 5 - count))))


@pytest.mark.parametrize(
    ("model", "numbers"),
    [("pinhole", RATIONAL[:5]), ("pinhole", RATIONAL), ("fisheye", [0.05, -0.01, 0.003, -0.001])],
)
def test_what_is_written_is_read_again(tmp_path: Path, model: str, numbers: list[float]) -> None:
    path = tmp_path / "left.yaml"
    save_intrinsics(
        path,
        "left: 'front' #1",
        Intrinsics(320, 240, frozen_array(MATRIX), frozen_array(numbers), model),
    )
    found = load_intrinsics(path)
    np.testing.assert_array_equal(found.distortion, numbers)
    np.testing.assert_array_equal(found.matrix, MATRIX)
    assert found.model == model


def test_binning_and_region_of_interest_are_applied(tmp_path: Path) -> None:
    text = ROS_MESSAGE.replace("binning_x: 0", "binning_x: 2").replace(
        "binning_y: 0", "binning_y: 2"
    )
    text = text.replace(
        "x_offset: 0, y_offset: 0, height: 0, width: 0",
        "x_offset: 20, y_offset: 40, height: 160, width: 240",
    )
    found = read(tmp_path, text)
    assert (found.width, found.height) == (120, 80)
    # Pixel (u, v) of the sensor is in the middle of the binned pixel ((u - 20.5) / 2, ...).
    ray = np.array([[0.05, 0.02, 1.0]])
    full = read(tmp_path, ROS_MESSAGE).lens.project(ray)[0]
    np.testing.assert_allclose(
        found.lens.project(ray)[0], [(full[0] - 20.5) / 2, (full[1] - 40.5) / 2], atol=1e-9
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ROS_BLOCKS.replace("431.0", "-431.0"), "fx and fy positive"),
        (ROS_BLOCKS.replace("431.0", "0"), "fx and fy positive"),
        (ROS_BLOCKS.replace("165.", "1650"), "principal point"),
        (ROS_BLOCKS.replace("7e-2", ".inf"), "finite"),
        (ROS_BLOCKS.replace("7e-2", "many"), "'many' is no number"),
        (ROS_BLOCKS.replace("    - 1\n", ""), "camera_matrix has 8 numbers, 9 are needed"),
        (ROS_BLOCKS.replace("image_width: 320\n", ""), "no image size; add image_width"),
        (ROS_BLOCKS.replace("320", "320.5"), "image size = 320.5 must be a whole number"),
        (ROS_BLOCKS.replace("320", "-320"), "image size = -320 must be a whole number"),
        (ROS_BLOCKS.replace("320", ".inf"), "image size = inf must be a whole number"),
        (ROS_BLOCKS.replace("320", "1e12"), "image size 1000000000000x240 must be"),
        (ROS_BLOCKS.replace("431.0", "0.0043"), "focal lengths 0.0043 and .*not in millimetres"),
        (ROS_BLOCKS.replace("431.0", "43.1"), "differ by more than a factor of 4"),
        (ROS_BLOCKS.replace("7e-2", "-7e+2"), "folds the image back"),
        (
            re.sub(r"    - .*", "    - 0", ROS_BLOCKS),
            "zero: the camera is not calibrated",
        ),
        (ROS_BLOCKS.replace("7e-2, ", ""), "cols|4 numbers"),
        (ROS_MESSAGE.replace("rational_polynomial", "double_sphere"), "'double_sphere' is none of"),
        (ROS_MESSAGE.replace("binning_x: 0", "binning_x: 3"), "binning .3, 1. does not divide"),
        (ROS_MESSAGE.replace("binning_x: 0", "binning_x: -2"), "binning_x = -2 must be a whole"),
        (ROS_MESSAGE.replace("binning_x: 0", "binning_x: .inf"), "binning_x = inf must be a whole"),
        (ROS_MESSAGE.replace("x_offset: 0", "x_offset: .nan"), "x_offset = nan must be a whole"),
        (
            ROS_MESSAGE.replace("x_offset: 0", "x_offset: 200").replace(
                "height: 0, width: 0", "height: 240, width: 100"
            ),
            "does not contain the principal point",
        ),
        (ROS_MESSAGE.replace("x_offset: 0", "x_offset: 9"), "offset but no size"),
        (
            ROS_MESSAGE.replace("height: 0, width: 0", "height: 300, width: 100"),
            "outside the image of 320x240",
        ),
        (ROS_MESSAGE.replace("height: 0, width: 0", "height: 300, width: 0"), "roi must have both"),
        (KALIBR, "describes 2 cameras, cam0, cam1; name the camera"),
        (KALIBR.replace("pinhole", "omni"), "describes 2 cameras"),
        (KALIBR.partition("cam1")[0].replace("pinhole", "omni"), "'omni' is not supported"),
        (DUMP.replace("[-0.01], ", ""), "fisheye lens has 4 numbers|numbers"),
        ("- 1\n- 2\n", "no names with values"),
        ("cam0: 3\n", "cam0 has no names with values"),
        ("a: [1, 2", "not YAML; is it complete"),
        ("!!python/object/apply:os.system ['true']", "not YAML"),
    ],
)
def test_files_that_describe_no_camera_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(CameraError, match=message):
        read(tmp_path, text)


def test_an_impossible_camera_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "left.yaml"
    for matrix in (-MATRIX, np.zeros((3, 3)), MATRIX * [[1], [1], [2]]):
        with pytest.raises(CameraError, match="matrix must be"):
            save_intrinsics(
                path,
                "left",
                Intrinsics(320, 240, frozen_array(matrix), frozen_array(np.zeros(5))),
            )
    assert not path.exists()
