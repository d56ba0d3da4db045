"""Camera intrinsics and their file (ROS camera_info YAML)."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from inhand.files import write_whole
from inhand.perception.cameras import CameraError
from inhand.perception.records import frozen_array
from inhand.perception.rotations import Array


@dataclass(frozen=True)
class Intrinsics:
    """Intrinsics of a camera: pinhole matrix and lens distortion.

    Attributes:
        width: [px].
        height: [px].
        matrix: [px], (3, 3).
        distortion: k1, k2, p1, p2, k3 of OpenCV's model, (5,).
    """

    width: int
    height: int
    matrix: Array
    distortion: Array


def save_intrinsics(path: Path, name: str, intrinsics: Intrinsics) -> None:
    """Writes a ROS camera_info file (the format of `camera_calibration_parsers`)."""
    projection = np.column_stack([intrinsics.matrix, np.zeros(3)])
    parts = [
        f"image_width: {intrinsics.width}\nimage_height: {intrinsics.height}\n",
        f"camera_name: {name}\n",
        _block("camera_matrix", intrinsics.matrix),
        "distortion_model: plumb_bob\n",
        _block("distortion_coefficients", intrinsics.distortion[None]),
        _block("rectification_matrix", np.eye(3)),
        _block("projection_matrix", projection),
    ]
    write_whole(path, "".join(parts))


def load_intrinsics(path: Path) -> Intrinsics:
    """Reads a ROS camera_info file.

    Raises:
        CameraError: the file is missing, truncated or of another distortion model.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CameraError(f"camera_info file {path} cannot be read: {error}") from error
    flags = cv2.FILE_STORAGE_READ | cv2.FILE_STORAGE_MEMORY | cv2.FILE_STORAGE_FORMAT_YAML
    try:
        storage = cv2.FileStorage("%YAML:1.0\n---\n" + text.removeprefix("---\n"), flags)
        matrix = _numbers(storage, "camera_matrix", 9).reshape(3, 3)
        distortion = _numbers(storage, "distortion_coefficients", 5)
        width, height = (int(storage.getNode(f"image_{side}").real()) for side in _SIDES)
        model = storage.getNode("distortion_model").string()
    except (cv2.error, SystemError) as error:
        raise CameraError(f"camera_info file {path} is not YAML; is it complete?") from error
    except ValueError as error:
        raise CameraError(f"camera_info file {path}: {error}") from error
    if model != "plumb_bob":
        raise CameraError(
            f"camera_info file {path}: distortion model {model!r} is not plumb_bob; calibrate "
            "the camera with `inhand calibrate camera`"
        )
    if width <= 0 or height <= 0 or not np.isfinite([*matrix.flat, *distortion]).all():
        raise CameraError(f"camera_info file {path}: sizes must be positive and numbers finite")
    return Intrinsics(width, height, frozen_array(matrix), frozen_array(distortion))


_SIDES = ("width", "height")


def _block(name: str, values: Array) -> str:
    rows, columns = values.shape
    data = ", ".join(repr(float(value)) for value in values.flat)
    return f"{name}:\n  rows: {rows}\n  cols: {columns}\n  data: [{data}]\n"


def _numbers(storage: cv2.FileStorage, name: str, count: int) -> Array:
    node = storage.getNode(name).getNode("data")
    values = [node.at(index).real() for index in range(node.size())] if not node.empty() else []
    if len(values) != count:
        raise ValueError(f"{name} has {len(values)} numbers, {count} are needed; is it complete?")
    return np.array(values)
