"""Corners of a plain chessboard, in the order of its frame."""

import cv2
import numpy as np

from inhand.perception.rotations import Array
from inhand.perception.tags import Image

BLACK_SHARE = 0.3
"""How far into a square from its corner its grey value is measured, in edges."""


def chessboard_image(columns: int, rows: int, pixels: int) -> Image:
    """A chessboard whose top left square is black, grey, without a margin."""
    white = np.add.outer(np.arange(rows), np.arange(columns)) % 2
    return np.asarray(np.kron(255 * white, np.ones((pixels, pixels))), dtype=np.uint8)


def find_chessboard(image: Image, columns: int, rows: int, square: float) -> tuple[Array, Array]:
    """Finds a chessboard that is seen as a whole.

    Args:
        image: grey, (height, width).
        columns: squares along x.
        rows: squares along y.
        square: their edge [m].

    Returns:
        points: plate frame [m], (n, 3); the origin is the outer corner of a black square, from
            which `columns` squares lie to the right and `rows` squares below.
        pixels: (n, 2). Both are empty if there is no chessboard.
    """
    across, down = columns - 1, rows - 1
    flags = cv2.CALIB_CB_NORMALIZE_IMAGE | cv2.CALIB_CB_EXHAUSTIVE | cv2.CALIB_CB_ACCURACY
    found, seen = cv2.findChessboardCornersSB(image, (across, down), flags=flags)
    if not found:
        return np.empty((0, 3)), np.empty((0, 2))
    grid = np.asarray(seen, dtype=np.float64).reshape(down, across, 2)
    right, below = grid[0, -1] - grid[0, 0], grid[-1, 0] - grid[0, 0]
    if right[0] * below[1] - right[1] * below[0] < 0:
        grid = grid[:, ::-1]
    # The square between the first four inner corners has the colour of the plate's first one.
    if _grey(image, grid[:2, :2]) > _grey(image, grid[:2, 1:3]):
        grid = grid[::-1, ::-1]
    y, x = np.mgrid[1 : down + 1, 1 : across + 1]
    points = np.stack([x, y, np.zeros_like(x)], axis=-1) * square
    return points.reshape(-1, 3), grid.reshape(-1, 2)


def _grey(image: Image, square: Array) -> float:
    """Mean grey value inside of a square, by its corners [px], (2, 2, 2)."""
    weights = np.array([BLACK_SHARE, 0.5, 1 - BLACK_SHARE])
    sums = [
        (1 - v) * ((1 - u) * square[0, 0] + u * square[0, 1])
        + v * ((1 - u) * square[1, 0] + u * square[1, 1])
        for u in weights
        for v in weights
    ]
    height, width = image.shape
    return float(
        np.mean(
            [
                image[int(np.clip(y, 0, height - 1)), int(np.clip(x, 0, width - 1))]
                for x, y in np.round(sums)
            ]
        )
    )
