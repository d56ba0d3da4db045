"""Intrinsics as programs of others write them, each in its own notation."""

from pathlib import Path

import pytest

from inhand.perception.calibration.camera_info import load_intrinsics
from inhand.perception.cameras import CameraError

MATRIX = [[700.5, 0.0, 321.25], [0.0, 701.5, 239.75], [0.0, 0.0, 1.0]]
DISTORTION = [-0.25, 0.125, 0.001, -0.002, 0.0625]

OPENCV_XML = """<?xml version="1.0"?>
<opencv_storage>
<calibration_Time>"Sun Nov 29 10:00:00 2026"</calibration_Time>
<image_Width>640</image_Width>
<image_Height>480</image_Height>
<Camera_Matrix type_id="opencv-matrix">
  <rows>3</rows><cols>3</cols><dt>d</dt>
  <data>
    7.005e+002 0. 321.25 0. 701.5
    239.75 0. 0. 1.</data></Camera_Matrix>
<Distortion_Coefficients type_id="opencv-matrix">
  <rows>5</rows><cols>1</cols><dt>d</dt>
  <data>-2.5e-001 0.125 0.001 -0.002 0.0625</data></Distortion_Coefficients>
</opencv_storage>
"""
OPENCV_TOOL = """%YAML:1.0
---
calibrationDate: "Sun Nov 29 10:00:00 2026"
cameraResolution: [ 640, 480 ]
cameraMatrix: !!opencv-matrix
   rows: 3
   cols: 3
   dt: d
   data: [ 7.005e+02, 0., 321.25, 0., 701.5, 239.75, 0., 0., 1. ]
cameraMatrix_std_dev: !!opencv-matrix
   rows: 4
   cols: 1
   dt: d
   data: [ 0., 1., 1., 1. ]
dist_coeffs: !!opencv-matrix
   rows: 1
   cols: 5
   dt: d
   data: [ -0.25, 0.125, 0.001, -0.002, 0.0625 ]
"""
OST = """# oST version 5.0 parameters

[image]

width
640

height
480

[narrow_stereo]

camera matrix
700.500000 0.000000 321.250000
0.000000 701.500000 239.750000
0.000000 0.000000 1.000000

distortion
-0.250000 0.125000 0.001000 -0.002000 0.062500

rectification
1.000000 0.000000 0.000000
0.000000 1.000000 0.000000
0.000000 0.000000 1.000000
"""
BY_NAME = """image_width: 640
image_height: 480
distortion_model: plumb_bob
intrinsics: {fx: 700.5, fy: 701.5, cx: 321.25, cy: 239.75}
distortion_coefficients: {k1: -0.25, k2: 0.125, p1: 0.001, p2: -0.002, k3: 0.0625}
"""
ORB_SLAM = """%YAML:1.0
File.version: "1.0"
Camera.type: "PinHole"
Camera1.fx: 700.5
Camera1.fy: 701.5
Camera1.cx: 321.25
Camera1.cy: 239.75
Camera1.k1: -0.25
Camera1.k2: 0.125
Camera1.p1: 0.001
Camera1.p2: -0.002
Camera1.k3: 0.0625
Camera.width: 640
Camera.height: 480
"""
KALIBR_5 = """cam0:
  camera_model: pinhole
  intrinsics: [700.5, 701.5, 321.25, 239.75]
  distortion_model: radtan5
  distortion_coeffs: [-0.25, 0.125, 0.001, -0.002, 0.0625]
  resolution: [640, 480]
"""
PYTHON_JSON = """{"camera_matrix": [[700.5, 0, 321.25], [0, 701.5, 239.75], [0, 0, 1]],
"dist_coeff": [[-0.25, 0.125, 0.001, -0.002, 0.0625]], "image_size": [640, 480]}"""
REALSENSE = """{"width": 640, "height": 480, "fx": 700.5, "fy": 701.5, "ppx": 321.25, "ppy": 239.75,
"model": "distortion.brown_conrady", "coeffs": [-0.25, 0.125, 0.001, -0.002, 0.0625]}"""
VINS = """%YAML:1.0
---
model_type: PINHOLE
camera_name: camera
image_width: 640
image_height: 480
distortion_parameters:
   k1: -0.25
   k2: 0.125
   p1: 0.001
   p2: -0.002
   k3: 0.0625
projection_parameters:
   fx: 700.5
   fy: 701.5
   cx: 321.25
   cy: 239.75
"""
NERFSTUDIO = """{"w": 640, "h": 480, "fl_x": 700.5, "fl_y": 701.5, "cx": 321.25, "cy": 239.75,
"k1": -0.25, "k2": 0.125, "p1": 0.001, "p2": -0.002, "k3": 0.0625, "camera_model": "OPENCV",
"frames": []}"""
BY_COLUMNS = """{"width": 640, "height": 480, "dist": [-0.25, 0.125, 0.001, -0.002, 0.0625],
"intrinsic_matrix": [700.5, 0, 0, 0, 701.5, 0, 321.25, 239.75, 1]}"""

TEXTS = {
    "opencv.xml": OPENCV_XML,
    "opencv_interactive-calibration": OPENCV_TOOL,
    "ost.txt": OST,
    "by name": BY_NAME,
    "orb-slam": ORB_SLAM,
    "kalibr radtan5": KALIBR_5,
    "python json": PYTHON_JSON,
    "realsense": REALSENSE,
    "vins": VINS,
    "nerfstudio": NERFSTUDIO,
    "open3d": BY_COLUMNS,
}


@pytest.mark.parametrize("name", TEXTS)
def test_each_notation_gives_the_same_camera(tmp_path: Path, name: str) -> None:
    path = tmp_path / "left.yaml"
    path.write_text(TEXTS[name])
    read = load_intrinsics(path)
    assert (read.width, read.height, read.model) == (640, 480, "pinhole")
    assert read.matrix.tolist() == MATRIX and read.distortion.tolist() == DISTORTION


def test_names_of_a_fisheye_lens(tmp_path: Path) -> None:
    text = ORB_SLAM.replace("PinHole", "KannalaBrandt8").replace("p1", "k3").replace("p2", "k4")
    path = tmp_path / "left.yaml"
    path.write_text(text.replace("Camera1.k3: 0.0625\n", ""))
    read = load_intrinsics(path)
    assert read.model == "fisheye" and read.distortion.tolist() == DISTORTION[:4]


def test_a_fisheye_lens_of_vins_and_of_opencvs_own_program(tmp_path: Path) -> None:
    path = tmp_path / "left.yaml"
    text = VINS.partition("distortion_parameters")[0].replace("PINHOLE", "KANNALA_BRANDT")
    path.write_text(
        text + "projection_parameters: {k2: -0.25, k3: 0.125, k4: 0.001, k5: -0.002, mu: 700.5, "
        "mv: 701.5, u0: 321.25, v0: 239.75}\n"
    )
    read = load_intrinsics(path)
    assert read.model == "fisheye" and read.distortion.tolist() == DISTORTION[:4]
    assert read.matrix.tolist() == MATRIX
    for flag, model in (("1", "fisheye"), ("0", "pinhole")):
        path.write_text(
            OPENCV_TOOL.replace("---\n", f"---\nfisheye_model: {flag}\n")
            .replace("cols: 5", "cols: 4")
            .replace(", 0.0625", "")
        )
        assert load_intrinsics(path).model == model


def test_names_of_a_rational_lens(tmp_path: Path) -> None:
    path = tmp_path / "left.yaml"
    path.write_text(BY_NAME.replace("k3: 0.0625", "k3: 0.0625, k4: 0.5, k5: 0.25, k6: 0.125"))
    assert load_intrinsics(path).distortion.tolist() == [*DISTORTION, 0.5, 0.25, 0.125]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (OPENCV_XML[:-60], "it is not XML; is it complete"),
        (OPENCV_XML.replace("opencv_storage", "storage"), "<opencv_storage> is read"),
        (
            OPENCV_XML.replace("<opencv", "<!DOCTYPE a [<!ENTITY b 'c'>]><opencv", 1),
            "document type",
        ),
        (OPENCV_XML.replace("0.125 ", ""), "has 4 numbers"),
        (OST.replace("width\n640", "width\n"), "it has no image size"),
        (
            OST.replace("0.000000 0.000000 1.000000\n\ndist", "\ndist"),
            "camera_matrix has 6 numbers",
        ),
        (BY_NAME.replace("fy: 701.5, ", ""), "intrinsics (fx, fy, cx, cy) has 0 numbers"),
        (BY_NAME.replace("k2: 0.125", "k2: x"), "'x' is no number"),
        (REALSENSE.replace("distortion.brown", "distortion.inverse_brown"), "maps pixels back"),
        (REALSENSE.replace("brown_conrady", "ftheta"), "distortion.ftheta' is none of"),
        (REALSENSE.replace("brown_conrady", "none"), "has numbers that are not zero"),
        (VINS.replace("projection", "mirror").replace("fx", "xi"), "omnidirectional"),
        (VINS.replace("projection", "some"), "neither a camera_matrix nor fx, fy, cx and cy"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "left.yaml"
    path.write_text(text)
    with pytest.raises(CameraError) as caught:
        load_intrinsics(path)
    assert words in str(caught.value) and "\n" not in str(caught.value)
