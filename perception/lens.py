"""Lens models: from points in a camera's frame to pixels and back.

`pinhole` is OpenCV's model with up to 14 numbers: radial, tangential, rational, thin prism, tilt
(ROS calls its first five plumb_bob). `fisheye` is the equidistant model with four numbers (Kannala
and Brandt, "A generic camera model", 2006), for lenses of more than about 100 degrees.
"""

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from inhand.perception.rotations import Array

Model = Literal["pinhole", "fisheye"]

NUMBERS: dict[str, tuple[int, ...]] = {"pinhole": (4, 5, 8, 12, 14), "fisheye": (4,)}
"""How many numbers describe the distortion of each model."""

EXACT = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 100, 1e-12)
"""Iterations with which the distortion of a wide lens is inverted."""

WIDEST = 1.45
"""Largest angle to the optical axis at which the distortion of a pinhole is inverted [rad]."""

NEWTON_STEPS = 6

FOCAL_LENGTHS = (0.1, 100.0)
"""Smallest and largest focal length, in edges of the image: the longer edge."""

LARGEST_IMAGE = 65535
"""Longest edge of an image [px]."""

ASPECT = 4.0
"""Largest ratio of the two focal lengths: images may be binned or interlaced in one direction."""

RETURN = 0.05
"""Largest distance of a pixel from the projection of its own ray [px]; it is larger where the model
has no inverse."""


@dataclass(frozen=True)
class Lens:
    """Intrinsics of a camera.

    Attributes:
        matrix: intrinsic matrix [px], (3, 3).
        distortion: numbers of the model, as in `NUMBERS`.
        model: what the numbers mean.
    """

    matrix: Array
    distortion: Array
    model: Model = "pinhole"

    @property
    def wide(self) -> bool:
        """Whether pixels have different weights across the image, as in wide lenses.

        A lens of five numbers or fewer is treated as one of constant scale, as it always was:
        recordings are replayed to the bit.
        """
        return self.model == "fisheye" or len(self.distortion) > 5

    def project(self, points: Array) -> Array:
        """Pixels, (n, 2), of points in the camera's frame [m], (n, 3)."""
        return self._projected(points)[0]

    def derivative(self, points: Array) -> tuple[Array, Array]:
        """Pixels, (n, 2), and their derivative by the points, (n, 2, 3) [px/m]."""
        pixels, jacobian = self._projected(points)
        first = 11 if self.model == "fisheye" else 3
        return pixels, jacobian[:, first : first + 3].reshape(-1, 2, 3)

    def by_parameters(self, points: Array) -> Array:
        """Derivative of the pixels by fx, fy, cx, cy and the distortion, (n, 2, 4 + k)."""
        _, jacobian = self._projected(points)
        if self.model == "fisheye":
            columns = jacobian[:, :8]
        else:
            columns = jacobian[:, 6 : 10 + len(self.distortion)]
        return columns.reshape(len(points), 2, -1)

    def rays(self, pixels: Array) -> Array:
        """Undistorted coordinates x/z, y/z in the camera's frame, (n, 2), of pixels, (n, 2)."""
        if not pixels.size:
            return np.empty((0, 2))
        points = np.ascontiguousarray(pixels, dtype=np.float64).reshape(-1, 1, 2)
        if self.model == "fisheye":
            rays = cv2.fisheye.undistortPoints(points, self.matrix, self.distortion, criteria=EXACT)
        elif self.wide:
            return self._inverted(points.reshape(-1, 2))
        else:
            rays = cv2.undistortPoints(points, self.matrix, self.distortion)
        return np.asarray(rays, dtype=np.float64).reshape(-1, 2)

    def _inverted(self, pixels: Array) -> Array:
        """Rays of a wide pinhole lens: by a table of the radius, then by Newton's method.

        OpenCV's iteration does not converge for the strong distortion of wide lenses.
        """
        plane = np.linalg.solve(self.matrix, np.column_stack([pixels, np.ones(len(pixels))]).T)
        plane = plane[:2].T
        radius = np.linalg.norm(plane, axis=1)
        undistorted = np.tan(np.linspace(0.0, WIDEST, 500))
        table = self._radial(undistorted)
        rising = _rising(table)
        found = np.interp(radius, table[rising], undistorted[rising])
        rays = plane * (found / np.maximum(radius, 1e-12))[:, None]
        for _ in range(NEWTON_STEPS):
            points = np.column_stack([rays, np.ones(len(rays))])
            seen, by_point = self.derivative(points)
            slope = by_point[:, :, :2]
            sound = np.asarray(np.abs(np.linalg.det(slope)) > 1e-6)
            step = np.linalg.solve(
                np.where(sound[:, None, None], slope, np.eye(2)), (pixels - seen)[..., None]
            )[..., 0]
            rays = rays + np.where(sound[:, None], np.clip(step, -0.2, 0.2), 0.0)
        return np.asarray(rays, dtype=np.float64)

    def _radial(self, undistorted: Array) -> Array:
        """Distances from the centre of a pinhole lens, in focal lengths, with radial distortion."""
        k1, k2, _, _, k3, *rest = np.pad(self.distortion, (0, max(0, 8 - len(self.distortion))))
        square = undistorted**2
        # Strong distortion of a wide lens exceeds all numbers far outside its image.
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            table = undistorted * (1 + square * (k1 + square * (k2 + square * k3)))
            table /= 1 + square * (rest[0] + square * (rest[1] + square * rest[2]))
        return np.asarray(table, dtype=np.float64)

    @property
    def reach(self) -> float:
        """Distance from the centre at which the model folds the image back, in focal lengths."""
        if self.model == "fisheye":
            angles = np.linspace(0.0, np.pi, 500)
            powers = angles[:, None] ** np.array([3, 5, 7, 9])
            table = angles + powers @ self.distortion
        else:
            table = self._radial(np.tan(np.linspace(0.0, WIDEST, 500)))
        return float(table[_rising(table)][-1])

    def stretch(self, rays: Array) -> Array:
        """Derivative of the pixels by undistorted coordinates, (n, 2), at these; (n, 2, 2)."""
        _, by_point = self.derivative(np.column_stack([rays, np.ones(len(rays))]))
        return by_point[:, :, :2]

    def sees(self, pixels: Array) -> Array:
        """Whether the ray of each pixel, (n, 2), is known; (n,) of truth values.

        At the border of a wide image the model may have no inverse.
        """
        rays = self.rays(pixels)
        known = np.asarray((np.isfinite(rays) & (np.abs(rays) < 1e3)).all(axis=1))
        back = self.project(
            np.column_stack([np.where(known[:, None], rays, 0.0), np.ones(len(rays))])
        )
        return np.asarray(known & (np.linalg.norm(back - pixels, axis=1) < RETURN))

    def _projected(self, points: Array) -> tuple[Array, Array]:
        local = np.ascontiguousarray(points, dtype=np.float64).reshape(-1, 1, 3)
        project = cv2.fisheye.projectPoints if self.model == "fisheye" else cv2.projectPoints
        pixels, jacobian = project(local, np.zeros(3), np.zeros(3), self.matrix, self.distortion)
        return (
            np.asarray(pixels, dtype=np.float64).reshape(-1, 2),
            np.asarray(jacobian, dtype=np.float64),
        )


def _rising(table: Array) -> NDArray[np.bool_]:
    """Which entries are before the first maximum; beyond it a model folds the image back."""
    return np.concatenate([[True], np.cumprod(np.diff(table) > 0).astype(bool)])


def lens_problem(width: int, height: int, lens: Lens) -> str:
    """Why there can be no such lens; empty if there can.

    Args:
        width: of the image [px].
        height: of the image [px].
        lens: the intrinsics.
    """
    matrix, numbers = lens.matrix, lens.distortion
    if not (0 < width <= LARGEST_IMAGE and 0 < height <= LARGEST_IMAGE):
        return f"image size {width}x{height} must be positive, up to {LARGEST_IMAGE} pixels"
    if not (np.isfinite(matrix).all() and np.isfinite(numbers).all()):
        return "every number must be finite"
    if matrix[0, 0] <= 0 or matrix[1, 1] <= 0 or matrix[1, 0] or (matrix[2] != (0, 0, 1)).any():
        return "matrix must be [[fx, s, cx], [0, fy, cy], [0, 0, 1]] with fx and fy positive"
    fx, fy = float(matrix[0, 0]), float(matrix[1, 1])
    least, most = (factor * max(width, height) for factor in FOCAL_LENGTHS)
    if not (least <= fx <= most and least <= fy <= most):
        return (
            f"focal lengths {fx:g} and {fy:g} px are not {least:g} to {most:g} px, as in an image "
            f"of {width}x{height}; they are in pixels, not in millimetres"
        )
    if not 1 / ASPECT <= fx / fy <= ASPECT:
        return f"focal lengths {fx:g} and {fy:g} px differ by more than a factor of {ASPECT:g}"
    if not (0 < matrix[0, 2] < width and 0 < matrix[1, 2] < height):
        return f"principal point {matrix[:2, 2].tolist()} lies outside the image"
    if lens.model not in NUMBERS:
        return f"lens model {lens.model!r} is none of {', '.join(NUMBERS)}"
    if len(numbers) not in NUMBERS[lens.model]:
        counts = ", ".join(str(count) for count in NUMBERS[lens.model])
        return f"distortion of a {lens.model} lens has {len(numbers)} numbers, it may have {counts}"
    half = np.maximum(matrix[:2, 2], np.array([width, height]) - matrix[:2, 2]) / 2
    if lens.reach < np.linalg.norm(half / (fx, fy)):
        return (
            f"its distortion {numbers.tolist()} folds the image back {lens.reach * fx:.0f} px from "
            "the centre; are the numbers those of this camera and lens model?"
        )
    return ""
