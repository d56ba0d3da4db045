"""What the fields of intrinsics files are named, and how their numbers are read."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from inhand.perception.lens import Model
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

NOT_DISTORTED = ("none", "distortion.none")
"""Models without a lens."""

MATRIX = ("camera_matrix", "Camera_Matrix", "cameraMatrix", "K", "k", "intrinsic_matrix", "M1")
DISTORTION = (
    *("distortion_coefficients", "Distortion_Coefficients", "distCoeffs", "dist_coeffs"),
    *("dist_coeff", "coeffs", "distortion_parameters"),
    *("D", "d", "distortion_coeffs", "distortion", "dist", "coefficients", "D1"),
)
WIDTH = ("image_width", "image_Width", "width", "img_width", "w")
HEIGHT = ("image_height", "image_Height", "height", "img_height", "h")
SIZE = ("resolution", "image_size", "img_size", "size", "cameraResolution")
MODEL = ("distortion_model", "model_type", "camera_model", "model")


def first(data: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    """The value of the first of several names that a file has; None without any."""
    return next((data[name] for name in names if data.get(name) is not None), None)


def number(value: Any, name: str) -> float:
    """A number.

    Raises:
        ValueError: it is none.
    """
    # YAML 1.1 reads 1e-5, without a point, as text.
    if value is None or isinstance(value, bool | list | Mapping):
        raise ValueError(f"{name} is missing or no number; is the file complete?")
    try:
        return float(value)
    except (ValueError, TypeError):
        raise ValueError(f"{name}: {value!r} is no number") from None


def whole(value: Any, name: str) -> int:
    """A whole number, not negative.

    Raises:
        ValueError: it is none.
    """
    found = number(value, name)
    if not (math.isfinite(found) and found == int(found) and found >= 0):
        raise ValueError(f"{name} = {value} must be a whole number that is zero or positive")
    return int(found)


def numbers(value: Any, name: str, counts: tuple[int, ...]) -> Array:
    """A list of numbers, a list of lists, or a matrix with `data`.

    Args:
        value: as the file has it.
        name: for messages.
        counts: how many numbers there may be.

    Raises:
        ValueError: it is none, or has another count.
    """
    rows = columns = None
    if isinstance(value, Mapping):
        rows, columns = value.get("rows"), value.get("cols")
        value = value.get("data")
    if value is None:
        value = []
    if not isinstance(value, list):
        raise ValueError(f"{name} must be a list of numbers")
    flat = [one for part in value for one in (part if isinstance(part, list) else [part])]
    found = [number(one, name) for one in flat]
    if len(found) not in counts:
        wanted = " or ".join(str(count) for count in counts)
        raise ValueError(
            f"{name} has {len(found)} numbers, {wanted} are needed; is the file complete?"
        )
    sides = [whole(side, f"{name}: rows and cols") for side in (rows, columns) if side is not None]
    if len(sides) == 2 and sides[0] * sides[1] != len(found):
        raise ValueError(
            f"{name} has {len(found)} numbers, but {sides[0]} rows and {sides[1]} cols; is the "
            "file complete?"
        )
    return np.array(found, dtype=np.float64)


def size(data: Mapping[str, Any]) -> tuple[int, int]:
    """Width and height of the image [px].

    Raises:
        ValueError: they are missing or not whole.
    """
    both = first(data, SIZE)
    if both is not None:
        sides = numbers(both, "the image size", (2,)).tolist()
    else:
        sides = [first(data, names) for names in (WIDTH, HEIGHT)]
        if sides[0] is None:
            raise ValueError("it has no image size; add image_width and image_height")
    across, down = (whole(side, "the image size") for side in sides)
    return across, down


def cropped(
    data: Mapping[str, Any], matrix: Array, width: int, height: int
) -> tuple[Array, int, int]:
    """Matrix and size of what the camera delivers, by binning and region of interest.

    As in sensor_msgs/CameraInfo: the region is in pixels of the full sensor, and is binned.

    Raises:
        ValueError: region and binning do not suit the sensor.
    """
    roi = data.get("roi") or {}
    if not isinstance(roi, Mapping):
        raise ValueError("roi must have x_offset, y_offset, width and height")
    left, top, across, down = (
        whole(roi.get(key, 0), f"roi {key}") for key in ("x_offset", "y_offset", "width", "height")
    )
    if bool(across) != bool(down):
        raise ValueError("roi must have both width and height, or neither")
    if across:
        if left + across > width or top + down > height:
            raise ValueError(
                f"roi {across}x{down} at {left}, {top} lies outside the image of {width}x{height}"
            )
        x, y = matrix[0, 2] - left, matrix[1, 2] - top
        if not (0 < x < across and 0 < y < down):
            raise ValueError(
                f"roi {across}x{down} at {left}, {top} does not contain the principal point "
                f"{matrix[:2, 2].tolist()}; choose a region that does"
            )
        width, height = across, down
    elif left or top:
        raise ValueError("roi has an offset but no size")
    bins = [max(1, whole(data.get(key, 0), key)) for key in ("binning_x", "binning_y")]
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
