"""The square part of a picture that the network sees."""

from dataclasses import dataclass

import cv2
import numpy as np

from inhand.perception.cameras import Camera
from inhand.perception.objects import ObjectDescription
from inhand.perception.rotations import Array
from inhand.perception.tags import Image

PIXELS = 96
"""Edge of the picture that the network gets [px]."""

MARGIN = 1.4
"""Edge of the window, in diameters of the object."""


@dataclass(frozen=True)
class Window:
    """A square in a picture.

    Attributes:
        center: [px], (2,).
        side: edge [px].
    """

    center: Array
    side: float

    @property
    def scale(self) -> float:
        """Pixels of the network's picture per pixel of the camera's."""
        return PIXELS / self.side

    def cut(self, image: Image) -> Image:
        """The window's content, RGB, (PIXELS, PIXELS, 3); black outside of the picture."""
        scale = self.scale
        shift = (PIXELS - 1) / 2 - scale * self.center
        warp = np.array([[scale, 0.0, shift[0]], [0.0, scale, shift[1]]])
        cut = cv2.warpAffine(image, warp, (PIXELS, PIXELS), flags=cv2.INTER_LINEAR)
        return np.asarray(cut, dtype=np.uint8)

    def to_picture(self, points: Array) -> Array:
        """Pixels of the camera's picture, (..., 2), of points in units of half the window."""
        pixels: Array = self.center + points * self.side / 2
        return pixels

    def from_picture(self, pixels: Array) -> Array:
        """The inverse of `to_picture`."""
        points: Array = (pixels - self.center) / (self.side / 2)
        return points


def window_pixels(points: Array) -> Array:
    """Pixels of a window's content, (..., 2), of points in units of half the window."""
    pixels: Array = (points + 1) * PIXELS / 2 - 0.5
    return pixels


def diameter(description: ObjectDescription) -> float:
    """Largest distance between two points of the object [m]."""
    return 2 * float(np.linalg.norm(description.vertices, axis=1).max())


def window_around(camera: Camera, description: ObjectDescription, position: Array) -> Window:
    """The window of an object at a position, world frame [m], (3,)."""
    depth = float((position - camera.position) @ camera.rotation[:, 2])
    side = MARGIN * diameter(description) * camera.focal_length / depth
    return Window(camera.project(position[None])[0], side)
