"""Faces of an object without tags, drawn as they look: a colour, and a letter upright."""

import cv2
import numpy as np

from inhand.perception.appearance import FaceMark
from inhand.perception.rotations import Array
from inhand.perception.tags import Image

PIXELS_PER_METRE = 4000.0

# Renderers sample the nearest texel. A blur of about one camera pixel, as a lens has, avoids
# stepped borders; its standard deviation on the face [m].
PRINT_BLUR = 0.0004


def face_frame(normal: Array) -> Array:
    """Columns right, up and out of a face, (3, 3)."""
    up = np.array([0.0, 1.0, 0.0]) if abs(normal[2]) > 0.5 else np.array([0.0, 0.0, 1.0])
    return np.stack([np.cross(up, normal), up, normal], axis=-1)


def face_corners(vertices: Array, normal: Array) -> list[int]:
    """Which vertices, (n, 3), are corners of a face, counter-clockwise from outside.

    Args:
        vertices: of the object, object frame [m], (n, 3).
        normal: out of the face, object frame, (3,).
    """
    heights = vertices @ normal
    numbers = np.flatnonzero(heights > heights.max() - 1e-9)
    corners = vertices[numbers]
    flat = (corners - corners.mean(axis=0)) @ face_frame(normal)[:, :2]
    return [int(number) for number in numbers[np.argsort(np.arctan2(flat[:, 1], flat[:, 0]))]]


def to_cell(flat: Array, cell: int) -> Array:
    """Pixels in a picture (centre of its top-left pixel at 0, 0) of points on a face.

    Args:
        flat: right and up from the middle of the face [m], (n, 2).
        cell: edge of the picture [px].
    """
    pixels: Array = flat * np.array([1.0, -1.0]) * PIXELS_PER_METRE + (cell - 1) / 2
    return pixels


def marked_face(mark: FaceMark, flat: Array, cell: int) -> Image:
    """A face without tags, BGR, (cell, cell, 3): its colour, and its letter upright.

    Args:
        mark: colour and letter.
        flat: corners of the face, right and up [m], (n, 2).
        cell: size of the image [px].
    """
    image = np.empty((cell, cell, 3), dtype=np.uint8)
    image[:] = mark.color[::-1]
    if mark.letter:
        inner = np.linalg.norm(flat, axis=1).min() * PIXELS_PER_METRE
        height, ink = int(0.9 * inner), (0, 0, 0) if sum(mark.color) > 330 else (255, 255, 255)
        font, stroke = cv2.FONT_HERSHEY_SIMPLEX, max(2, height // 6)
        scale = cv2.getFontScaleFromHeight(font, height, stroke)
        (width, tall), _ = cv2.getTextSize(mark.letter, font, scale, stroke)
        place = ((cell - width) // 2, (cell + tall) // 2)
        cv2.putText(image, mark.letter, place, font, scale, ink, stroke, cv2.LINE_AA)
    blurred = cv2.GaussianBlur(image, (0, 0), PRINT_BLUR * PIXELS_PER_METRE)
    return np.asarray(blurred, dtype=np.uint8)
