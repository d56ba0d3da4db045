"""Grey values between pixels."""

import numpy as np

from inhand.perception.rotations import Array
from inhand.perception.tags import Image


def sample(image: Image, points: Array) -> Array:
    """Grey values between pixels, bilinear, clamped at the border; (..., 2) to (...)."""
    height, width = image.shape
    # These bounds also turn NaN into a number.
    x = np.fmin(np.fmax(points[..., 0], 0.0), width - 1.001)
    y = np.fmin(np.fmax(points[..., 1], 0.0), height - 1.001)
    column, row = x.astype(np.intp), y.astype(np.intp)
    right, down = x - column, y - row
    flat = image.ravel()
    at = row * width + column
    upper = flat[at] * (1 - right) + flat[at + 1] * right
    lower = flat[at + width] * (1 - right) + flat[at + width + 1] * right
    values: Array = upper * (1 - down) + lower * down
    return values
