"""Camera intrinsics from pictures of a plate, and checks whether the pictures suffice."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from inhand.perception.calibration.camera_info import Intrinsics
from inhand.perception.calibration.plate import Plate
from inhand.perception.cameras import CameraError
from inhand.perception.records import frozen_array
from inhand.perception.rotations import Array
from inhand.perception.tags import Image

View = tuple[Array, Array]
"""Corners of the plate in one picture: plate frame [m], (n, 3), and pixels, (n, 2)."""

MINIMUM_VIEWS = 8
MINIMUM_CORNERS = 12
"""Least number of corners in a picture that is used."""

SOLVABLE = 4
"""Least number of views for a first solution, which is shown as progress."""

NEW = 0.05
"""Least median distance of corners to those of every other view for a view to count as new [image
widths]."""

MINIMUM_COVERAGE = 0.6
"""Least share of the image's 5 x 4 cells in which a corner was seen: distortion is only known where
there were corners."""

MINIMUM_TILT = 0.35
"""Least value of the largest angle between two poses of the plate [rad]: frontal pictures alone do
not separate focal length and distance."""

MAXIMUM_RESIDUAL = 0.5
"""Largest root mean square of the reprojection errors [px]."""

MAXIMUM_FOCAL_DEVIATION = 0.005
"""Largest standard deviation of a focal length, relative to it."""


@dataclass(frozen=True)
class IntrinsicsReport:
    """A calibration and its quality.

    Attributes:
        intrinsics: the result.
        residual: root mean square of the reprojection errors [px].
        deviation: standard deviations of fx, fy, cx, cy [px], (4,).
        coverage: share of the image in which corners were seen.
        pixels: all corners, (n, 2).
    """

    intrinsics: Intrinsics
    residual: float
    deviation: Array
    coverage: float
    pixels: Array


@dataclass(frozen=True)
class Shortcoming:
    """What the pictures lack: briefly, and in full with a remedy."""

    brief: str
    full: str


class LensViews:
    """Collects pictures of a plate and checks whether they suffice.

    Args:
        plate: what the pictures show.

    Attributes:
        taken: number of pictures so far, including those without a plate.
    """

    def __init__(self, plate: Plate) -> None:
        self.taken = 0
        self._plate = plate
        self._size: tuple[int, int] | None = None
        self._views: list[View] = []
        self._solved: _Solved | None = None

    def add(self, image: Image) -> bool:
        """Adds a picture; returns whether it shows enough of the plate to be used.

        Args:
            image: grey, (height, width).

        Raises:
            CameraError: its size differs from that of the pictures before.
        """
        height, width = image.shape
        if self._size not in (None, (width, height)):
            raise CameraError("the pictures are of 2 sizes; take all with one setting")
        self._size = width, height
        self.taken += 1
        points, pixels = self._plate.find(image)
        if len(points) < MINIMUM_CORNERS:
            return False
        self._views.append((points, pixels))
        if len(self._views) >= SOLVABLE:
            self._solved = _solve(self._views, self._size)
        return True

    def differs(self, points: Array, pixels: Array) -> bool:
        """Whether a view of the plate would add information to those collected.

        Args:
            points: corners, plate frame [m], (n, 3).
            pixels: their pixels, (n, 2).
        """
        if self._size is None or not _fields(pixels, self._size) <= self._fields():
            return True
        nearest = min(apart((points, pixels), view) for view in self._views)
        return nearest > NEW * self._size[0]

    @property
    def enough(self) -> bool:
        """Whether the pictures suffice."""
        return not self.shortcomings()

    @property
    def coverage(self) -> float:
        """Share of the image's 5 x 4 cells in which a corner was seen."""
        return len(self._fields()) / 20

    @property
    def status(self) -> str:
        """Progress in one line, with what is missing."""
        text = f"{len(self._views)} views, {100 * self.coverage:.0f} % of the image"
        if self._solved is not None:
            text += f", tilted by {np.degrees(self._solved.tilt):.0f}°"
            text += f", residual {self._solved.residual:.2f} px"
        missing = [one.brief for one in self.shortcomings()]
        return f"{text}; missing: {', '.join(missing)}" if missing else f"{text}; enough"

    def shortcomings(self) -> list[Shortcoming]:
        """What is missing; nothing if the pictures suffice."""
        found = []
        if len(self._views) < MINIMUM_VIEWS:
            found.append(
                Shortcoming(
                    f"{MINIMUM_VIEWS - len(self._views)} more views",
                    f"{len(self._views)} of {self.taken} pictures show {MINIMUM_CORNERS} corners "
                    f"of the plate, {MINIMUM_VIEWS} are needed; is the plate the one described, "
                    "sharp and lit evenly?",
                )
            )
        if self.coverage < MINIMUM_COVERAGE:
            found.append(
                Shortcoming(
                    f"the plate at the {self._unseen()}",
                    f"the plate was seen in {100 * self.coverage:.0f} % of the image, "
                    f"{100 * MINIMUM_COVERAGE:.0f} % are needed; show it at the borders too",
                )
            )
        if self._solved is not None:
            found += self._solved.shortcomings()
        return found

    def report(self) -> IntrinsicsReport:
        """The calibration.

        Raises:
            CameraError: the pictures do not suffice; the message says what to add.
        """
        for shortcoming in self.shortcomings():
            raise CameraError(shortcoming.full)
        solved = self._solved
        assert solved is not None and self._size is not None
        intrinsics = Intrinsics(*self._size, frozen_array(solved.matrix), frozen_array(solved.lens))
        pixels = np.concatenate([seen for _, seen in self._views])
        spread = frozen_array(solved.spread)
        return IntrinsicsReport(intrinsics, solved.residual, spread, self.coverage, pixels)

    def _fields(self) -> set[tuple[int, int]]:
        size = self._size or (1, 1)
        return set().union(*(_fields(pixels, size) for _, pixels in self._views))

    def _unseen(self) -> str:
        """The borders of the image with few corners."""
        known = self._fields()
        borders = {
            "left": [(0, row) for row in range(4)],
            "right": [(4, row) for row in range(4)],
            "top": [(column, 0) for column in range(5)],
            "bottom": [(column, 3) for column in range(5)],
        }
        lacking = [
            name
            for name, fields in borders.items()
            if sum(field not in known for field in fields) >= 2
        ]
        return ", ".join(lacking) or "borders"


@dataclass(frozen=True)
class _Solved:
    """Solution from some views; members as in `IntrinsicsReport`, and the plate's tilt [rad]."""

    matrix: Array
    lens: Array
    residual: float
    spread: Array
    tilt: float

    def shortcomings(self) -> list[Shortcoming]:
        found = []
        if self.tilt < MINIMUM_TILT:
            found.append(
                Shortcoming(
                    "more tilt",
                    f"the plate was tilted by no more than {np.degrees(self.tilt):.0f} degrees, "
                    f"{np.degrees(MINIMUM_TILT):.0f} are needed; tilt it to all sides",
                )
            )
        if self.residual > MAXIMUM_RESIDUAL:
            found.append(
                Shortcoming(
                    f"a residual below {MAXIMUM_RESIDUAL} px",
                    f"the residual of the best calibration is {self.residual:.2f} px, at most "
                    f"{MAXIMUM_RESIDUAL} px are allowed; is the plate flat, its size right, and "
                    "nothing blurred?",
                )
            )
        if max(self.spread[:2] / np.diag(self.matrix)[:2]) > MAXIMUM_FOCAL_DEVIATION:
            found.append(
                Shortcoming(
                    "nearer and more tilted views",
                    f"the focal length is known to {self.spread[:2].max():.1f} px only; take more "
                    "pictures, nearer and more tilted",
                )
            )
        return found


def apart(one: View, other: View) -> float:
    """Median motion of the corners that two views share [px]; infinite if they share none.

    Args:
        one: points, plate frame [m], (n, 3), and their pixels, (n, 2).
        other: the same; it may have other corners.
    """
    seen = {tuple(point): pixel for point, pixel in zip(one[0].tolist(), one[1], strict=True)}
    moved = [
        float(np.linalg.norm(pixel - seen[tuple(point)]))
        for point, pixel in zip(other[0].tolist(), other[1], strict=True)
        if tuple(point) in seen
    ]
    return float(np.median(moved)) if moved else float("inf")


def _solve(views: Sequence[View], size: tuple[int, int]) -> _Solved:
    residual, matrix, distortion, turns, _, deviation, _, _ = cv2.calibrateCameraExtended(
        [points.astype(np.float32) for points, _ in views],
        [seen.astype(np.float32) for _, seen in views],
        size,
        np.eye(3),
        np.zeros(5),
    )
    normals = np.array([cv2.Rodrigues(turn)[0][:, 2] for turn in turns])
    return _Solved(
        matrix=np.asarray(matrix, dtype=np.float64),
        lens=np.asarray(distortion, dtype=np.float64).ravel()[:5],
        residual=float(residual),
        spread=np.asarray(deviation, dtype=np.float64).ravel()[:4],
        tilt=float(np.arccos(np.clip((normals @ normals.T).min(), -1.0, 1.0))),
    )


def _fields(pixels: Array, size: tuple[int, int]) -> set[tuple[int, int]]:
    """The image's 5 x 4 cells that contain pixels, (n, 2)."""
    width, height = size
    cells = np.clip(pixels / (width / 5, height / 4), 0, (4, 3)).astype(int)
    return {(column, row) for column, row in cells.tolist()}
