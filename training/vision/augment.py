"""Augmentation of the training windows: no picture is shown twice in the same way."""

import cv2
import numpy as np
from numpy.typing import NDArray

from inhand.perception.keypoints.window import PIXELS
from inhand.perception.rotations import Array

TURN = np.radians(25)
"""Largest turn in the picture [rad]."""
COVERED = 0.4
"""Share of windows of which a part is covered by a part of another window."""
BLANK = 0.03
"""Share of windows that show nothing: night, a covered lens."""


def augmented(
    images: NDArray[np.uint8], points: Array, present: NDArray[np.bool_], rng: np.random.Generator
) -> tuple[NDArray[np.float32], Array, NDArray[np.bool_]]:
    """Windows turned, shifted, scaled, covered in part and in other light.

    Args:
        images: RGB, (n, PIXELS, PIXELS, 3).
        points: the object's vertices in units of half the window, (n, vertices, 2).
        present: whether the object is in the window, (n,).
        rng: source of randomness.

    Returns:
        The three of them, changed; images from 0 to 255.
    """
    count = len(images)
    turn = rng.uniform(-TURN, TURN, count)
    scale = np.exp(rng.normal(0.0, 0.06, count))
    shift = rng.normal(0.0, 0.06, (count, 2))
    cosine, sine = scale * np.cos(turn), scale * np.sin(turn)
    matrix = np.stack([np.stack([cosine, -sine], -1), np.stack([sine, cosine], -1)], 1)
    moved = points @ matrix.swapaxes(1, 2) + shift[:, None]
    middle, half = np.full(2, (PIXELS - 1) / 2), PIXELS / 2
    changed = np.empty((count, PIXELS, PIXELS, 3), np.float32)
    for i, image in enumerate(images):
        offset = middle - matrix[i] @ middle + half * shift[i]
        warp = np.column_stack([matrix[i], offset])
        # Some renderers and cameras have hard edges.
        kind = cv2.INTER_NEAREST if rng.random() < 0.15 else cv2.INTER_LINEAR
        edge = cv2.BORDER_REPLICATE
        changed[i] = cv2.warpAffine(image, warp, (PIXELS, PIXELS), flags=kind, borderMode=edge)
    for i in np.flatnonzero(rng.random(count) < COVERED).tolist():
        size = rng.integers(8, 44, 2)
        x, y = rng.integers(0, PIXELS - size)
        other = changed[rng.integers(count), y : y + size[1], x : x + size[0]]
        flat = np.full_like(other, rng.uniform(0, 255, 3))
        changed[i, y : y + size[1], x : x + size[0]] = flat if rng.random() < 0.4 else other
    gain = rng.uniform(0.8, 1.2, (count, 1, 1, 1)) * rng.uniform(0.85, 1.15, (count, 1, 1, 3))
    changed = changed * gain.astype(np.float32)
    there = present.copy()
    for i in np.flatnonzero(rng.random(count) < BLANK).tolist():
        level = rng.uniform(0, 255, 3) if rng.random() < 0.5 else rng.uniform(0, 25)
        changed[i] = level + rng.normal(0.0, rng.uniform(0, 12), changed[i].shape)
        there[i] = False
    return np.clip(changed, 0, 255), moved, there
