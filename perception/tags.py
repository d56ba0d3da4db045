"""AprilTag 36h11: the family, the images of its tags, and which way up they are.

A tag is the way its official picture is (https://github.com/AprilRobotics/apriltag-imgs), held
upright. Its corners are counted clockwise from the picture's top left: top left, top right, bottom
right, bottom left. Its frame lies in the middle of the picture: x to the picture's right, y up, z
out of the face, towards whoever reads it. Tag 0 is upright where its data begin with 110101 in the
top row (1 is white):

    . . . . . . . .
    . # # . # . # .        # white, . black; the outermost ring is the black border
    . . # # # . # .
    . . # # . . . .
    . # . # . . . .
    . . # . # # . .
    . . . . # . . .
    . . . . . . . .

OpenCV numbers the same tags but has had them upside down, and how many wrong bits it corrects
differs by version. Nothing here depends on either.
"""

import hashlib
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from inhand.perception.errors import PerceptionError

Image = NDArray[np.uint8]

MODULES = 8
"""Modules along the edge of the black square: six of data and the border."""

FAMILY_SIZE = 587
"""Number of tags in the family."""

CORRECTABLE_BITS = 5
"""Any two tags, however turned, differ in 11 bits or more: so many wrong ones leave one choice."""

OFFICIAL_CODES = "933e9719e7ebc8aa1e2f8cad068a44cf66fa8163fb6adb5d79e327b075b26ab2"
"""SHA-256 of the official pictures' data: each tag's 36 bits, row by row from the top left, 1 for
white, as a big-endian number of 5 bytes; all tags one after another."""


@cache
def family() -> cv2.aruco.Dictionary:
    """The dictionary that images are made from and frames are searched for.

    Raises:
        PerceptionError: OpenCV's tags are not those of the family, whichever way up.
    """
    return official(cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_APRILTAG_36h11))


def official(dictionary: cv2.aruco.Dictionary) -> cv2.aruco.Dictionary:
    """The family the way up that its official pictures are, from one that is turned.

    Raises:
        PerceptionError: see `family`.
    """
    side = MODULES - 2
    rows = np.asarray(dictionary.bytesList)
    tags = [
        np.asarray(cv2.aruco.Dictionary.getBitsFromByteList(rows[i : i + 1], side), dtype=np.uint8)
        for i in range(len(rows))
    ]
    for quarter_turns in range(4):
        turned = [np.rot90(bits, quarter_turns) for bits in tags]
        if _digest(turned) == OFFICIAL_CODES:
            listed = [
                cv2.aruco.Dictionary.getByteListFromBits(np.ascontiguousarray(bits))
                for bits in turned
            ]
            return cv2.aruco.Dictionary(np.concatenate(listed), side, CORRECTABLE_BITS)
    raise PerceptionError(
        f"OpenCV {cv2.__version__} does not have the tags of the family 36h11, whichever way up; "
        "install a version that pyproject.toml allows"
    )


def _digest(tags: list[NDArray[np.uint8]]) -> str:
    """SHA-256 of the tags' data, as `OFFICIAL_CODES` has it."""
    numbers = (int("".join(str(bit) for bit in bits.ravel()), 2) for bits in tags)
    return hashlib.sha256(b"".join(number.to_bytes(5, "big") for number in numbers)).hexdigest()


def tag_image(tag_id: int, module_pixels: int) -> Image:
    """The official picture of a tag without its white zone, grey, (8 module_pixels,) * 2.

    In print, a white zone at least one module wide must surround the tag.
    """
    if not 0 <= tag_id < FAMILY_SIZE:
        raise ValueError(f"tag id {tag_id} is not in the family 36h11 (0..{FAMILY_SIZE - 1})")
    image = cv2.aruco.generateImageMarker(family(), tag_id, MODULES * module_pixels)
    return np.asarray(image, dtype=np.uint8)
