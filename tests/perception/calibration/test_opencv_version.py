"""Versions of OpenCV that put a plate's corners half a pixel off are refused."""

import cv2
import numpy as np
import pytest

from inhand.perception.calibration.opencv_version import require_opencv
from inhand.perception.calibration.plate import Plate
from inhand.perception.cameras import CameraError


@pytest.mark.parametrize("version", ["4.13.0", "4.6.0", "4.13.0-dev", "3.4.18"])
def test_an_old_version_is_refused(version: str) -> None:
    with pytest.raises(CameraError, match=f"OpenCV {version} .*half a pixel.*4.14"):
        require_opencv(version)


@pytest.mark.parametrize("version", ["4.14.0", "4.20.1", "5.0.0", "5.0.0-pre"])
def test_later_versions_are_accepted(version: str) -> None:
    require_opencv(version)


def test_this_version_finds_the_corners_where_they_are() -> None:
    require_opencv()
    plate = Plate()
    drawn = cv2.copyMakeBorder(plate.image(60), *(60,) * 4, cv2.BORDER_CONSTANT, value=(255.0,))
    image = np.asarray(cv2.GaussianBlur(drawn, (0, 0), 1.0), dtype=np.uint8)
    points, pixels = plate.find(image)
    expected = points[:, :2] / plate.square * 60 + 60 - 0.5
    assert np.abs(np.median(pixels - expected, axis=0)).max() < 0.1
