"""Refuses versions of OpenCV whose calibration plates are found at a wrong place."""

import re

import cv2

from inhand.perception.cameras import CameraError

LOWEST = (4, 14)
"""Before, corners of a ChArUco plate were found 0.49 px too far right and 0.44 px too low: their
origin was the image's corner, not the centre of its first pixel. Measured on one picture with 4.10,
4.12 and 4.13; with 4.14 and 5.0 it is 0.04 px. Corners of tags are computed here and do not
depend on the version: a median error of 0.07 px with each of these."""


def require_opencv(version: str = cv2.__version__) -> None:
    """Checks the version of OpenCV.

    Raises:
        CameraError: it is too old; pip would not have installed it.
    """
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    if numbers < LOWEST:
        lowest = ".".join(str(number) for number in LOWEST)
        raise CameraError(
            f"OpenCV {version} finds the corners of calibration plates half a pixel off; install "
            f"{lowest} or newer: pip install 'opencv-python-headless>={lowest}'"
        )
