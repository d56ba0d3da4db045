"""Camera intrinsics and their files: ROS camera_info, OpenCV, Kalibr, and plain K and D."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from inhand.files import write_whole
from inhand.perception.calibration.intrinsics_fields import (
    DISTORTION,
    MATRIX,
    MODEL,
    MODELS,
    NOT_DISTORTED,
    cropped,
    first,
    numbers,
    size,
)
from inhand.perception.calibration.intrinsics_notations import (
    distortion_numbers,
    focal_numbers,
    parse,
)
from inhand.perception.cameras import CameraError
from inhand.perception.lens import Lens, Model, lens_problem
from inhand.perception.records import frozen_array
from inhand.perception.rotations import Array


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
    if broken := [key for key, part in chain.items() if not isinstance(part, Mapping)]:
        raise ValueError(f"{broken[0]} has no names with values; is the file complete?")
    wanted = [key for key, part in chain.items() if name in (key, part.get("rostopic"))]
    if len(chain) == 1 or wanted:
        return dict(chain[wanted[0] if wanted else next(iter(chain))])
    raise ValueError(
        f"it describes {len(chain)} cameras, {', '.join(chain)}; name the camera so, or keep one "
        "of them"
    )


def _intrinsics(data: Mapping[str, Any]) -> Intrinsics:
    matrix = _matrix(data)
    model, distortion = _distortion(data)
    width, height = size(data)
    # Before a region is cut out, since a wrong principal point is noticed on the whole sensor.
    if problem := lens_problem(width, height, Lens(matrix, distortion, model)):
        raise ValueError(problem)
    matrix, width, height = cropped(data, matrix, width, height)
    result = Intrinsics(width, height, frozen_array(matrix), frozen_array(distortion), model)
    if problem := lens_problem(width, height, result.lens):
        raise ValueError(f"with its roi and binning, {problem}")
    return result


def _matrix(data: Mapping[str, Any]) -> Array:
    """The camera matrix [px], (3, 3)."""
    given = focal_numbers(data)
    if "intrinsics" in data:
        # Kalibr names the projection and the distortion apart.
        if (projection := data.get("camera_model", "pinhole")) != "pinhole":
            raise ValueError(f"camera model {projection!r} is not supported, only pinhole is")
        given = given or data["intrinsics"]
    elif first(data, MATRIX) is not None:
        matrix = numbers(first(data, MATRIX), "camera_matrix", (9,)).reshape(3, 3)
        if not matrix.any():
            raise ValueError("its camera_matrix is zero: the camera is not calibrated")
        # Some programs write columns one after the other.
        by_columns = matrix[2, :2].any() and (matrix[:, 2] == (0.0, 0.0, 1.0)).all()
        return matrix.T.copy() if by_columns else matrix
    elif "xi" in data or "alpha" in data or "mirror_parameters" in data:
        raise ValueError("it describes an omnidirectional camera, which is not supported")
    elif given is None:
        raise ValueError(
            "it has neither a camera_matrix nor fx, fy, cx and cy; is the file complete?"
        )
    fx, fy, cx, cy = numbers(given, "intrinsics (fx, fy, cx, cy)", (4,)).tolist()
    return np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])


def _distortion(data: Mapping[str, Any]) -> tuple[Model, Array]:
    """The lens model and its numbers."""
    name = str(first(data, MODEL) or "").lower()
    if name and name not in MODELS:
        raise ValueError(
            f"distortion model {name!r} is none of plumb_bob, rational_polynomial, equidistant and "
            "their other names; calibrate the camera with `inhand calibrate camera`"
        )
    if "xi" in data:
        raise ValueError("it describes an omnidirectional camera, which is not supported")
    model = MODELS.get(name, "pinhole")
    if not name and str(data.get("fisheye_model", 0)).lower() not in ("0", "false"):
        # OpenCV's own calibration program marks the model so.
        model = "fisheye"
    given = distortion_numbers(data, first(data, DISTORTION), fisheye=model == "fisheye")
    if given is None:
        raise ValueError(
            "it has no distortion_coefficients; is the file complete? An empty list stands for none"
        )
    found = numbers(given, "distortion_coefficients", (0, 1, 2, 4, 5, 8, 12, 14))
    if model == "fisheye":
        if len(found) != 4:
            raise ValueError(f"a fisheye lens has 4 numbers of distortion, not {len(found)}")
        return model, found
    if found.any():
        if "inverse" in name:
            raise ValueError(
                f"distortion model {name!r} maps pixels back, and its numbers are not zero; "
                "calibrate the camera with `inhand calibrate camera`"
            )
        if name in NOT_DISTORTED:
            raise ValueError(f"distortion model {name!r} has numbers that are not zero")
    # OpenCV reads missing numbers as zeros.
    return model, np.pad(found, (0, max(0, 5 - len(found))))


def _block(name: str, values: Array) -> str:
    rows, columns = values.shape
    data = ", ".join(repr(float(value)) for value in values.flat)
    return f"{name}:\n  rows: {rows}\n  cols: {columns}\n  data: [{data}]\n"
