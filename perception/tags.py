"""AprilTag 36h11: the family and the images of its tags."""

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

MODULES = 8
"""Modules along the edge of the black square: six of data and the border."""

FAMILY_SIZE = 587
"""Number of tags in the family."""


@cache
def family() -> cv2.aruco.Dictionary:
    """The dictionary that images are made from and frames are searched for."""
    return cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_APRILTAG_36h11)


def tag_image(tag_id: int, module_pixels: int) -> Image:
    """One tag up to the outer edge of its black border, grey, (8 module_pixels,) * 2.

    Corner 0 of the ArUco order is the top-left corner of the image. In print, a white zone at
    least one module wide must surround the tag.
    """
    if not 0 <= tag_id < FAMILY_SIZE:
        raise ValueError(f"tag id {tag_id} is not in the family 36h11 (0..{FAMILY_SIZE - 1})")
    image = cv2.aruco.generateImageMarker(family(), tag_id, MODULES * module_pixels)
    return np.asarray(image, dtype=np.uint8)
