"""Camera intrinsics and their files: ROS camera_info, OpenCV, Kalibr, and plain K and D."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from inhand.files import write_whole
from inhand.perception.calibration.intrinsics_notations import (
    distortion_numbers,
    focal_numbers,
    parse,
)
from inhand.perception.cameras import CameraError
from inhand.perception.lens import Lens, Model, lens_problem
from inhand.perception.records import frozen_array
from inhand.perception.rotations import Array

MODELS: dict[str, Model] = {
    "plumb_bob": "pinhole",
    "rational_polynomial": "pinhole",
    "thin_prism": "pinhole",
    "radtan": "pinhole",
    "radtan5": "pinhole",
    "radtan8": "pinhole",
    "radial-tangential": "pinhole",
    "brown_conrady": "pinhole",
    "distortion.brown_conrady": "pinhole",
    "distortion.inverse_brown_conrady": "pinhole",
    "inverse_brown_conrady": "pinhole",
    "distortion.none": "pinhole",
    "opencv": "pinhole",
    "pinhole": "pinhole",
    "none": "pinhole",
    "equidistant": "fisheye",
    "equi": "fisheye",
    "fisheye": "fisheye",
    "kannala_brandt": "fisheye",
    "kannala_brandt4": "fisheye",
    "kannalabrandt8": "fisheye",
    "distortion.kannala_brandt4": "fisheye",
    "opencv_fisheye": "fisheye",
}
"""Names of distortion models in files."""

MATRIX = ("camera_matrix", "Camera_Matrix", "cameraMatrix", "K", "k", "intrinsic_matrix", "M1")
DISTORTION = (
    *("distortion_coefficients", "Distortion_Coefficients", "distCoeffs", "dist_coeffs"),
    *("dist_coeff", "coeffs"),
    *("D", "d", "distortion_coeffs", "distortion", "dist", "coefficients", "D1"),
)
WIDTH = ("image_width", "image_Width", "width", "img_width")
HEIGHT = ("image_height", "image_Height", "height", "img_height")
SIZE = ("resolution", "image_size", "img_size", "size", "cameraResolution")
MODEL = ("distortion_model", "camera_model", "model")


@dataclass(frozen=True)
class Intrinsics:
    """Intrinsics of a camera: matrix and lens distortion.

    Attributes:
        width: [px].
        height: [px].
        matrix: [px], (3, 3).
        distortion: numbers of the model, see `perception.lens`.
        model: the lens model.
    """

    width: int
    height: int
    matrix: Array
    distortion: Array
    model: Model = "pinhole"

    @property
    def lens(self) -> Lens:
        """How it projects."""
        return Lens(self.matrix, self.distortion, self.model)


def save_intrinsics(path: Path, name: str, intrinsics: Intrinsics) -> None:
    """Writes a ROS camera_info file (the format of `camera_calibration_parsers`).

    Raises:
        CameraError: there can be no such camera; nothing is written.
        WriteError: the file cannot be written; what was there before still is.
    """
    if problem := lens_problem(intrinsics.width, intrinsics.height, intrinsics.lens):
        raise CameraError(f"camera_info file {path}: {problem}")
    model = "plumb_bob" if len(intrinsics.distortion) <= 5 else "rational_polynomial"
    if intrinsics.model == "fisheye":
        model = "equidistant"
    projection = np.column_stack([intrinsics.matrix, np.zeros(3)])
    parts = [
        f"image_width: {intrinsics.width}\nimage_height: {intrinsics.height}\n",
        yaml.safe_dump({"camera_name": name}, allow_unicode=True),
        _block("camera_matrix", intrinsics.matrix),
        f"distortion_model: {model}\n",
        _block("distortion_coefficients", intrinsics.distortion[None]),
        _block("rectification_matrix", np.eye(3)),
        _block("projection_matrix", projection),
    ]
    write_whole(path, "".join(parts))


def load_intrinsics(path: Path, name: str = "") -> Intrinsics:
    """Reads a camera's intrinsics.

    Formats: ROS camera_info (file or message), OpenCV's FileStorage, Kalibr's camchain, and plain
    `K` and `D`. Binning and region of interest of a camera_info are applied: the result is for the
    images that the camera delivers.

    Args:
        path: of the file.
        name: of the camera, to choose one of several in a Kalibr camchain.

    Raises:
        CameraError: the file is missing, truncated, or describes no camera that is supported.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CameraError(f"camera_info file {path} cannot be read: {error}") from error
    try:
        data = parse(text)
        if not isinstance(data, Mapping):
            raise ValueError("it has no names with values; is it complete?")
        return _intrinsics(_camera(data, name))
    except (ValueError, TypeError) as error:
        raise CameraError(f"camera_info file {path}: {error}") from error


def _camera(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The part of a file that describes one camera."""
    chain = {key: part for key, part in data.items() if re.fullmatch(r"cam\d+", str(key))}
    if not chain:
        return data
    wanted = [key for key, part in chain.items() if name in (key, part.get("rostopic"))]
    if len(chain) == 1 or wanted:
        return dict(chain[wanted[0] if wanted else next(iter(chain))])
    raise ValueError(
        f"it describes {len(chain)} cameras, {', '.join(chain)}; name the camera so, or keep one "
        "of them"
    )


def _intrinsics(data: Mapping[str, Any]) -> Intrinsics:
    model = str(_first(data, MODEL) or "").lower()
    if "intrinsics" in data:
        # Kalibr names the projection and the distortion apart.
        if (projection := data.get("camera_model", "pinhole")) != "pinhole":
            raise ValueError(f"camera model {projection!r} is not supported, only pinhole is")
        given = focal_numbers(data) or data["intrinsics"]
        matrix = _matrix(_numbers(given, "intrinsics", (4,)))
    elif _first(data, MATRIX) is None and (given := focal_numbers(data)):
        matrix = _matrix(_numbers(given, "fx, fy, cx and cy", (4,)))
    else:
        matrix = _numbers(_first(data, MATRIX), "camera_matrix", (9,)).reshape(3, 3)
    known = MODELS.get(model)
    distorted = _first(data, DISTORTION)
    distorted = distortion_numbers(data, distorted, fisheye=known == "fisheye")
    if distorted is None:
        raise ValueError(
            "it has no distortion_coefficients; is the file complete? An empty list stands for none"
        )
    distortion = _numbers(distorted, "distortion_coefficients", (0, 1, 2, 4, 5, 8, 12, 14))
    if model and known is None:
        raise ValueError(
            f"distortion model {model!r} is none of {', '.join(MODELS)}; calibrate the camera with "
            "`inhand calibrate camera`"
        )
    if "inverse" in model and distortion.any():
        raise ValueError(
            f"distortion model {model!r} maps pixels back, and its numbers are not zero; calibrate "
            "the camera with `inhand calibrate camera`"
        )
    if "xi" in data or "alpha" in data:
        raise ValueError("it describes an omnidirectional camera, which is not supported")
    if _first(data, SIZE) is None and _first(data, WIDTH) is None:
        raise ValueError("it has no image size; add image_width and image_height")
    if known == "fisheye":
        if len(distortion) != 4:
            raise ValueError(f"a fisheye lens has 4 numbers of distortion, not {len(distortion)}")
    elif len(distortion) < 5:
        # OpenCV reads missing numbers as zeros.
        distortion = np.pad(distortion, (0, 5 - len(distortion)))
    width, height = _size(data)
    matrix, width, height = _cropped(data, matrix, width, height)
    result = Intrinsics(
        width, height, frozen_array(matrix), frozen_array(distortion), known or "pinhole"
    )
    if problem := lens_problem(width, height, result.lens):
        raise ValueError(problem)
    return result


def _matrix(values: Array) -> Array:
    """Camera matrix from fx, fy, cx, cy [px]."""
    fx, fy, cx, cy = values.tolist()
    return np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])


def _size(data: Mapping[str, Any]) -> tuple[int, int]:
    """Width and height of the image [px]."""
    both = _first(data, SIZE)
    if both is not None:
        sides = _numbers(both, "the image size", (2,)).tolist()
    else:
        found = (_first(data, names) for names in (WIDTH, HEIGHT))
        sides = [_number(side, "the image size") for side in found]
    if any(side != int(side) for side in sides):
        raise ValueError(f"the image size {sides} must be whole numbers")
    return int(sides[0]), int(sides[1])


def _cropped(
    data: Mapping[str, Any], matrix: Array, width: int, height: int
) -> tuple[Array, int, int]:
    """Matrix and size of what the camera delivers, by binning and region of interest.

    As in sensor_msgs/CameraInfo: the region is in pixels of the full sensor, and is binned.
    """
    roi = data.get("roi") or {}
    if not isinstance(roi, Mapping):
        raise ValueError("roi must have x_offset, y_offset, width and height")
    left, top = (int(_number(roi.get(key, 0), f"roi {key}")) for key in ("x_offset", "y_offset"))
    across, down = (int(_number(roi.get(key, 0), f"roi {key}")) for key in ("width", "height"))
    if bool(across) != bool(down):
        raise ValueError("roi must have both width and height, or neither")
    if across:
        if min(left, top, across, down) < 0 or left + across > width or top + down > height:
            raise ValueError(
                f"roi {across}x{down} at {left}, {top} lies outside the image of {width}x{height}"
            )
        width, height = across, down
    elif left or top:
        raise ValueError("roi has an offset but no size")
    bins = [max(1, int(_number(data.get(key, 0), key))) for key in ("binning_x", "binning_y")]
    if any(side % count for side, count in zip((width, height), bins, strict=True)):
        raise ValueError(f"binning {bins} does not divide the image of {width}x{height}")
    # The centre of the first pixel is at 0: that of a binned one lies between those of its pixels.
    shift = np.array([[1.0, 0.0, -left], [0.0, 1.0, -top], [0.0, 0.0, 1.0]])
    shrink = np.array(
        [
            [1 / bins[0], 0.0, 0.5 / bins[0] - 0.5],
            [0.0, 1 / bins[1], 0.5 / bins[1] - 0.5],
            [0.0, 0.0, 1.0],
        ]
    )
    if left or top or bins != [1, 1]:
        matrix = shrink @ shift @ matrix
    return matrix, width // bins[0], height // bins[1]


def _first(data: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    """The value of the first of several names that a file has; None without any."""
    return next((data[name] for name in names if data.get(name) is not None), None)


def _number(value: Any, name: str) -> float:
    # YAML 1.1 reads 1e-5, without a point, as text.
    if value is None or isinstance(value, bool | list | Mapping):
        raise ValueError(f"{name} is missing or no number; is the file complete?")
    try:
        return float(value)
    except ValueError:
        raise ValueError(f"{name}: {value!r} is no number") from None


def _numbers(value: Any, name: str, counts: tuple[int, ...]) -> Array:
    """A list of numbers, a list of lists, or a matrix with `data`."""
    rows = columns = None
    if isinstance(value, Mapping):
        rows, columns = value.get("rows"), value.get("cols")
        value = value.get("data")
    if value is None:
        value = []
    if not isinstance(value, list):
        raise ValueError(f"{name} must be a list of numbers")
    flat = [one for part in value for one in (part if isinstance(part, list) else [part])]
    numbers = [_number(one, name) for one in flat]
    whole = rows is None or columns is None or int(rows) * int(columns) == len(numbers)
    if len(numbers) not in counts or not whole:
        wanted = " or ".join(str(count) for count in counts)
        raise ValueError(
            f"{name} has {len(numbers)} numbers, {wanted} are needed; is the file complete?"
        )
    return np.array(numbers, dtype=np.float64)


def _block(name: str, values: Array) -> str:
    rows, columns = values.shape
    data = ", ".join(repr(float(value)) for value in values.flat)
    return f"{name}:\n  rows: {rows}\n  cols: {columns}\n  data: [{data}]\n"
