"""Camera intrinsics from pictures of a plate, and checks whether the pictures suffice."""

from collections.abc import Collection

import numpy as np

from inhand.perception.calibration.camera_info import Intrinsics
from inhand.perception.calibration.lens_fit import LensFit, View, fit_lens
from inhand.perception.calibration.lens_report import (
    IntrinsicsReport,
    Shortcoming,
    picture_reports,
    solution_shortcomings,
)
from inhand.perception.calibration.plate import Plate
from inhand.perception.cameras import CameraError
from inhand.perception.lens import NUMBERS, Model
from inhand.perception.records import frozen_array
from inhand.perception.rotations import Array
from inhand.perception.tags import Image

MINIMUM_VIEWS = 8
MINIMUM_CORNERS = 12
"""Least number of corners in a picture that is used."""

SOLVABLE = 4
"""Least number of views for a first solution, which is shown as progress."""

NEW = 0.05
"""Least median distance of corners to those of every other view for a view to count as new [image
widths]."""

SAME = 5e-4
"""Largest median distance of corners [image widths] at which two views are one and the same: a file
that was saved again, or plate and camera at rest. Their errors do not average out."""

MINIMUM_COVERAGE = 0.6
"""Least share of the image's 5 x 4 cells in which a corner was seen: distortion is only known where
there were corners."""


class LensViews:
    """Collects pictures of a plate and checks whether they suffice.

    Args:
        plate: what the pictures show.
        model: of the lens.
        numbers: how many numbers of distortion to find; the least of the model if not given, but
            five of a pinhole.

    Attributes:
        taken: number of pictures so far, including those without a plate.

    Raises:
        CameraError: the model does not have so many numbers.
    """

    def __init__(self, plate: Plate, model: Model = "pinhole", numbers: int = 0) -> None:
        self.taken = 0
        self._plate, self._model = plate, model
        self._numbers = numbers or (4 if model == "fisheye" else 5)
        if self._numbers not in NUMBERS[model]:
            counts = ", ".join(str(count) for count in NUMBERS[model])
            raise CameraError(
                f"a {model} lens has no {numbers} numbers of distortion, but one of {counts}"
            )
        self._size: tuple[int, int] | None = None
        self._views: list[View] = []
        self._names: list[str] = []
        self._solved: LensFit | None = None
        self._refusal = ""
        self._unusable: Image | None = None
        self._again = 0

    def add(self, image: Image, name: str = "") -> bool:
        """Adds a picture; returns whether it shows enough of the plate, in a new place, to be used.

        Args:
            image: grey, (height, width).
            name: of the picture, for the report.

        Raises:
            CameraError: its size differs from that of the pictures before.
        """
        height, width = image.shape
        if self._size not in (None, (width, height)):
            raise CameraError("the pictures are of 2 sizes; take all with one setting")
        self._size = width, height
        self.taken += 1
        self._plate = self._plate.settled(image)
        points, pixels = self._plate.find(image)
        if len(points) < MINIMUM_CORNERS:
            self._unusable = image
            return False
        if any(apart((points, pixels), view) < SAME * width for view in self._views):
            self._again += 1
            return False
        self._views.append((points, pixels))
        self._names.append(name or f"picture {self.taken}")
        self._solve()
        return True

    def drop(self, names: Collection[str]) -> None:
        """Leaves out pictures by their names."""
        kept = [k for k, name in enumerate(self._names) if name not in names]
        self._views = [self._views[k] for k in kept]
        self._names = [self._names[k] for k in kept]
        self._solve()

    def _solve(self) -> None:
        self._solved, self._refusal = None, ""
        if len(self._views) < SOLVABLE:
            return
        assert self._size is not None
        try:
            self._solved = fit_lens(self._views, self._size, self._model, self._numbers)
        except CameraError as error:
            self._refusal = str(error)

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
                    f"of the plate{self._repeated}, {MINIMUM_VIEWS} are needed; is the plate the "
                    "one described, sharp and lit evenly?",
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
        if self._refusal:
            found.append(Shortcoming("views that fit each other", self._refusal))
        if self._solved is not None:
            found += solution_shortcomings(self._solved)
        return found

    @property
    def _repeated(self) -> str:
        """How many pictures were left out since they show what another shows; empty if none."""
        if not self._again:
            return ""
        return f" in a new place ({self._again} show it exactly where another does)"

    def report(self) -> IntrinsicsReport:
        """The calibration.

        Raises:
            CameraError: the pictures do not suffice; the message says what to add.
        """
        for shortcoming in self.shortcomings():
            why = ""
            if len(self._views) < MINIMUM_VIEWS and self._unusable is not None:
                why = self._plate.explain(self._unusable)
            raise CameraError(f"{shortcoming.full}; {why}" if why else shortcoming.full)
        solved = self._solved
        assert solved is not None and self._size is not None
        lens = solved.lens
        intrinsics = Intrinsics(
            *self._size, frozen_array(lens.matrix), frozen_array(lens.distortion), lens.model
        )
        return IntrinsicsReport(
            intrinsics=intrinsics,
            residual=solved.residual,
            deviation=frozen_array(solved.deviation[:4]),
            coverage=self.coverage,
            pictures=picture_reports(solved, self._names, self._views),
        )

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


def _fields(pixels: Array, size: tuple[int, int]) -> set[tuple[int, int]]:
    """The image's 5 x 4 cells that contain pixels, (n, 2)."""
    width, height = size
    cells = np.clip(pixels / (width / 5, height / 4), 0, (4, 3)).astype(int)
    return {(column, row) for column, row in cells.tolist()}
