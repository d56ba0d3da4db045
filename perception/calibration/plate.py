"""Plates for camera calibration: ChArUco, AprilGrid or a plain chessboard.

A part of a plate with tags is sufficient, since the tags identify the corners. A chessboard must be
seen as a whole.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import cv2
import numpy as np

from inhand.perception.calibration.chessboard import chessboard_image, find_chessboard
from inhand.perception.calibration.tag_plates import (
    Layout,
    april_grid,
    april_grid_image,
    charuco,
    dictionaries,
    dictionary_named,
    find_tags,
    fitting,
    refine_crossings,
)
from inhand.perception.cameras import CameraError
from inhand.perception.detection.refinement import refine_corners
from inhand.perception.rotations import Array
from inhand.perception.tags import Image

SMALLEST, LARGEST = 0.001, 0.5
"""Bounds of a square's edge [m]."""

LEAST_TAGS = 4
"""Least number of tags of another family that are not taken for noise."""


@dataclass(frozen=True)
class Plate:
    """A printed plate.

    Its frame: origin in the outer corner of the first square (top left in print), x to the right
    and y down along the print, z into the plate.

    Attributes:
        columns: squares along x; for an AprilGrid tags along x.
        rows: squares along y; for an AprilGrid tags along y.
        square: edge of a square; for an AprilGrid the distance from tag to tag [m].
        marker: edge of the tag in a white square; for an AprilGrid of a tag [m].
        kind: what is printed.
        dictionary: family of the tags, like 4X4_50 or APRILTAG_36h11; empty for 5X5_100 on ChArUco
            plates and APRILTAG_36h11 on AprilGrids.
        layout: of a ChArUco plate with an even number of rows: `current` has a black square at the
            top left, `legacy` (OpenCV before 4.6) a white one with a tag; `auto` finds out from the
            picture.

    Raises:
        CameraError: there can be no such plate.
    """

    columns: int = 10
    rows: int = 7
    square: float = 0.02
    marker: float = 0.015
    kind: Literal["charuco", "aprilgrid", "chessboard"] = "charuco"
    dictionary: str = ""
    layout: Literal["auto", "current", "legacy"] = "auto"

    def __post_init__(self) -> None:
        if problem := self._problem():
            raise CameraError(f"plate: {problem}")

    @property
    def corners(self) -> int:
        """Number of corners on the whole plate."""
        if self.kind == "aprilgrid":
            return 4 * self.columns * self.rows
        return (self.columns - 1) * (self.rows - 1)

    @property
    def symmetric(self) -> bool:
        """Whether the plate looks the same after half a turn."""
        return self.kind == "chessboard" and (self.columns + self.rows) % 2 == 0

    def image(self, pixels: int) -> Image:
        """The plate without a margin, grey, with `pixels` along the edge of a square.

        Of a ChArUco plate in the layout `auto`, the current layout is drawn.
        """
        if self.kind == "chessboard":
            return chessboard_image(self.columns, self.rows, pixels)
        if self.kind == "aprilgrid":
            share = self.marker / self.square
            return april_grid_image(self.columns, self.rows, share, pixels, self._family)
        board = charuco(self._size, self.square, self.marker, self._family, self.layout == "legacy")
        size = (self.columns * pixels, self.rows * pixels)
        return np.asarray(board.charuco.generateImage(size), dtype=np.uint8)

    def find(self, image: Image) -> tuple[Array, Array]:
        """Finds corners of the plate.

        Args:
            image: grey, (height, width).

        Returns:
            points: plate frame [m], (n, 3).
            pixels: (n, 2).
        """
        points, pixels, _ = self.look(image)
        return points, pixels

    def look(self, image: Image) -> tuple[Array, Array, str]:
        """Finds corners of the plate; the third value says why there are none, if that is known.

        A view from which the layout of the plate does not follow gives no corners.

        Args:
            image: grey, (height, width).
        """
        nothing = np.empty((0, 3)), np.empty((0, 2))
        if self.kind == "chessboard":
            return *find_chessboard(image, self.columns, self.rows, self.square), ""
        layouts = self._layouts
        corners, ids = find_tags(image, layouts[0].detectors)
        if not len(ids):
            return *nothing, ""
        fit = fitting(layouts, corners, ids)
        if not fit:
            return *nothing, (
                f"its tags are not where a plate of {self.columns} x {self.rows} has them; give "
                "--plate.columns and --plate.rows as they are printed"
            )
        if len(fit) > 1:
            return *nothing, (
                "one tag does not show how the plate lies; show more of it"
                if self.kind == "aprilgrid"
                else "the tags in view fit both layouts of a ChArUco plate; show the whole plate, "
                "or name the layout with --plate.layout"
            )
        layout = fit[0]
        if self.kind == "aprilgrid":
            refined, _ = refine_corners(image, corners)
            whole = np.isfinite(refined).all(axis=(1, 2)) & np.isin(ids, list(layout.tags))
            points = [layout.tags[tag] for tag in ids[whole].tolist()]
            return np.array(points).reshape(-1, 3), refined[whole].reshape(-1, 2), ""
        detector = cv2.aruco.CharucoDetector(layout.charuco)
        found, labels, _, _ = detector.detectBoard(
            image,
            markerCorners=list(corners.astype(np.float32)[:, None]),
            markerIds=ids.astype(np.int32)[:, None],
        )
        if labels is None or not len(labels):
            return *nothing, ""
        known = np.asarray(layout.charuco.getChessboardCorners(), dtype=np.float64)
        pixels = np.asarray(found, dtype=np.float64).reshape(-1, 2)
        gap = (1 - self.marker / self.square) / 2
        return known[np.asarray(labels).ravel()], refine_crossings(image, pixels, gap), ""

    def settled(self, image: Image) -> "Plate":
        """The plate with its layout, if that was open and this picture shows it; else itself."""
        if self.kind != "charuco" or len(self._layouts) == 1:
            return self
        fit = fitting(self._layouts, *find_tags(image, self._layouts[0].detectors))
        if len(fit) != 1:
            return self
        return replace(self, layout="legacy" if fit[0] is self._layouts[1] else "current")

    def explain(self, image: Image) -> str:
        """Why a picture shows no corners of the plate, if that can be found out; else empty."""
        *_, why = self.look(image)
        if why:
            return why
        if self.kind == "chessboard":
            return self._other_chessboard(image)
        tags, name = max(
            (len(find_tags(image, [cv2.aruco.ArucoDetector(family)])[1]), name)
            for name, family in dictionaries().items()
        )
        if tags < LEAST_TAGS or name == self._dictionary:
            return ""
        return (
            f"a picture shows {tags} tags of the family {name}, the plate has {self._dictionary}; "
            f"if it is the right one, give --plate.dictionary {name}"
        )

    def _other_chessboard(self, image: Image) -> str:
        """Says if a chessboard's inner corners were counted, and not its squares."""
        size = self.columns + 1, self.rows + 1
        if not len(find_chessboard(image, *size, self.square)[0]):
            return ""
        return (
            f"a picture shows a chessboard of {size[0]} x {size[1]} squares, with {self.columns} x "
            f"{self.rows} corners inside; squares are counted: give --plate.columns {size[0]} "
            f"--plate.rows {size[1]}"
        )

    @property
    def _size(self) -> tuple[int, int]:
        return self.columns, self.rows

    @property
    def _dictionary(self) -> str:
        return self.dictionary or {"aprilgrid": "APRILTAG_36h11"}.get(self.kind, "5X5_100")

    @cached_property
    def _family(self) -> cv2.aruco.Dictionary:
        return dictionary_named(self._dictionary)

    @cached_property
    def _layouts(self) -> list[Layout]:
        """Where the tags may be; several if that is to be found out."""
        if self.kind == "aprilgrid":
            return april_grid(self._size, self.square, self.marker, self._family)
        # An odd number of rows begins and ends alike: both layouts are the same.
        legacy = [self.layout == "legacy"]
        if self.layout == "auto" and self.rows % 2 == 0:
            legacy = [False, True]
        return [charuco(self._size, self.square, self.marker, self._family, old) for old in legacy]

    def _problem(self) -> str:
        """Why there can be no such plate; empty if there can."""
        least = 1 if self.kind == "aprilgrid" else 3
        if min(self._size) < least or max(self._size) > 100:
            return (
                f"{self.columns} columns and {self.rows} rows must be {least} to 100 each; "
                "squares are counted, not the corners between them"
            )
        for name, value in (("square", self.square), ("marker", self.marker)):
            if self.kind == "chessboard" and name == "marker":
                continue
            if not SMALLEST <= value <= LARGEST:
                return (
                    f"{name} = {value:g} m must be {SMALLEST:g} to {LARGEST:g}; sizes are in "
                    "metres, 20 mm is 0.02"
                )
        if self.kind == "chessboard":
            return ""
        if self.marker >= self.square:
            return (
                f"marker = {self.marker:g} m must be smaller than square = {self.square:g} m, in "
                "which it lies"
            )
        if self._dictionary not in dictionaries():
            return f"there is no family {self._dictionary!r}; it may be {', '.join(dictionaries())}"
        cells = self.columns * self.rows
        tags = cells if self.kind == "aprilgrid" else cells // 2
        there = len(self._family.bytesList)
        if tags > there:
            return f"it has {tags} tags, but the family {self._dictionary} has only {there}"
        return ""
