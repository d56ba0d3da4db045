"""A camera's lens from pictures of a plate, and the file that keeps it (ROS camera_info YAML)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from perception.cameras import CameraError
from perception.plate import Plate
from perception.records import frozen_array
from perception.rotations import Array
from perception.tags import Image

MINIMUM_VIEWS = 8
MINIMUM_CORNERS = 12
"""Of a picture that counts."""

MINIMUM_COVERAGE = 0.6
"""Share of the image's 5 x 4 fields in which a corner was seen: a lens is known where it was
looked through."""

MINIMUM_TILT = 0.35
"""The largest angle between two positions of the plate [rad]: of frontal pictures alone, focal
length and distance cannot be told apart."""

MAXIMUM_RESIDUAL = 0.5
"""Root mean square of the corners' distances [px]."""

MAXIMUM_FOCAL_DEVIATION = 0.005
"""Standard deviation of a focal length over the focal length."""


@dataclass(frozen=True)
class Intrinsics:
    """What a lens does.

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


@dataclass(frozen=True)
class IntrinsicsReport:
    """A calibration and how good it is.

    Attributes:
        intrinsics: the result.
        residual: root mean square of the corners' distances [px].
        deviation: standard deviations of fx, fy, cx, cy [px], (4,).
        coverage: share of the image in which corners were seen.
        pixels: all corners, (n, 2).
    """

    intrinsics: Intrinsics
    residual: float
    deviation: Array
    coverage: float
    pixels: Array


def calibrate_intrinsics(plate: Plate, images: Sequence[Image]) -> IntrinsicsReport:
    """Finds a lens.

    Args:
        plate: what the pictures show.
        images: grey, (height, width), of one size.

    Raises:
        CameraError: the pictures do not suffice; says what to add.
    """
    sizes = {image.shape for image in images}
    if len(sizes) != 1:
        raise CameraError(f"the pictures are of {len(sizes)} sizes; take all with one setting")
    height, width = images[0].shape
    views = [view for view in map(plate.find, images) if len(view[0]) >= MINIMUM_CORNERS]
    if len(views) < MINIMUM_VIEWS:
        raise CameraError(
            f"{len(views)} of {len(images)} pictures show {MINIMUM_CORNERS} corners of the plate, "
            f"{MINIMUM_VIEWS} are needed; is the plate the one described, sharp and lit evenly?"
        )
    pixels = np.concatenate([seen for _, seen in views])
    fields = np.minimum((pixels / (width / 5, height / 4)).astype(int), (4, 3))
    coverage = len({tuple(field) for field in fields.tolist()}) / 20
    if coverage < MINIMUM_COVERAGE:
        raise CameraError(
            f"the plate was seen in {100 * coverage:.0f} % of the image, "
            f"{100 * MINIMUM_COVERAGE:.0f} % are needed; show it at the borders too"
        )
    residual, matrix, distortion, turns, _, deviation, _, _ = cv2.calibrateCameraExtended(
        [points.astype(np.float32) for points, _ in views],
        [seen.astype(np.float32) for _, seen in views],
        (width, height),
        np.eye(3),
        np.zeros(5),
    )
    normals = np.array([cv2.Rodrigues(turn)[0][:, 2] for turn in turns])
    tilt = float(np.arccos(np.clip((normals @ normals.T).min(), -1.0, 1.0)))
    if tilt < MINIMUM_TILT:
        raise CameraError(
            f"the plate was tilted by no more than {np.degrees(tilt):.0f} degrees, "
            f"{np.degrees(MINIMUM_TILT):.0f} are needed; tilt it to all sides"
        )
    spread = np.asarray(deviation, dtype=np.float64).ravel()[:4]
    if residual > MAXIMUM_RESIDUAL:
        raise CameraError(
            f"corners lie {residual:.2f} px from where the best lens has them, "
            f"{MAXIMUM_RESIDUAL} px are allowed; is the plate flat, its size right, and nothing "
            "blurred?"
        )
    if max(spread[0] / matrix[0, 0], spread[1] / matrix[1, 1]) > MAXIMUM_FOCAL_DEVIATION:
        raise CameraError(
            f"the focal length is known to {spread[:2].max():.1f} px only; take more pictures, "
            "nearer and more tilted"
        )
    lens = np.asarray(distortion, dtype=np.float64).ravel()[:5]
    intrinsics = Intrinsics(width, height, frozen_array(matrix), frozen_array(lens))
    return IntrinsicsReport(intrinsics, float(residual), frozen_array(spread), coverage, pixels)


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
    path.write_text("".join(parts), encoding="utf-8")


def load_intrinsics(path: Path) -> Intrinsics:
    """Reads a ROS camera_info file.

    Raises:
        CameraError: missing, truncated or of another distortion model.
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
