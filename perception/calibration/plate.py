"""The ChArUco plate for camera calibration: a chessboard with a tag in each white square.

A part of the plate in view is sufficient, since the tags identify the corners. The tags are of
another family than those of the objects.
"""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from inhand.perception.rotations import Array
from inhand.perception.tags import Image


@dataclass(frozen=True)
class Plate:
    """A printed plate.

    Its frame: origin in the outer corner of the first square (top left in print), x to the right
    and y down along the print, z into the plate.

    Attributes:
        columns: squares along x.
        rows: squares along y.
        square: edge of a square [m].
        marker: edge of the tag in a white square [m].
    """

    columns: int = 10
    rows: int = 7
    square: float = 0.02
    marker: float = 0.015

    @cached_property
    def _board(self) -> cv2.aruco.CharucoBoard:
        family = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_5X5_100)
        return cv2.aruco.CharucoBoard((self.columns, self.rows), self.square, self.marker, family)

    @cached_property
    def _detector(self) -> cv2.aruco.CharucoDetector:
        return cv2.aruco.CharucoDetector(self._board)

    def image(self, pixels: int) -> Image:
        """The plate without a margin, grey, with `pixels` along the edge of a square."""
        size = (self.columns * pixels, self.rows * pixels)
        return np.asarray(self._board.generateImage(size), dtype=np.uint8)

    def find(self, image: Image) -> tuple[Array, Array]:
        """Finds inner corners of the chessboard.

        Args:
            image: grey, (height, width).

        Returns:
            points: plate frame [m], (n, 3).
            pixels: (n, 2).
        """
        found, labels, _, _ = self._detector.detectBoard(image)
        if labels is None or not len(labels):
            return np.empty((0, 3)), np.empty((0, 2))
        corners = np.asarray(self._board.getChessboardCorners(), dtype=np.float64)
        pixels = np.asarray(found, dtype=np.float64).reshape(-1, 2)
        return corners[np.asarray(labels).ravel()], pixels
