"""Plates with tags: where their tags are, and which arrangement a picture shows.

OpenCV takes the numbers of tags at their word. A plate of another arrangement then gives corners
that are whole squares away and still fit each other. So each tag predicts its neighbours here, and
an arrangement is used only if its neighbours are where it has them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from inhand.perception.rotations import Array
from inhand.perception.tags import Image, family

Ids = NDArray[np.int64]

NEAR = 1.5
"""Largest distance of the centres of two tags that count as neighbours [squares]."""

OFF = 0.5
"""Largest distance of a neighbour from where a tag predicts it [squares]."""

SHORT_OF_TAG = 0.8
"""Half a window in which a corner is refined, relative to its distance from the tags."""

AGREEMENT = 0.8
"""Least share of neighbours that are where they are predicted."""

CLEARLY = 2
"""By so many more neighbours out of place an arrangement is worse than another."""


@dataclass(frozen=True)
class Layout:
    """An arrangement of tags.

    Attributes:
        tags: corners of each tag by its number, in the order in which they are detected: plate
            frame [m], (4, 3).
        square: distance between rows [m].
        detectors: find its tags.
        board: the same for OpenCV; None for an AprilGrid.
    """

    tags: Mapping[int, Array]
    square: float
    detectors: Sequence[cv2.aruco.ArucoDetector]
    board: cv2.aruco.CharucoBoard | None = None

    @property
    def charuco(self) -> cv2.aruco.CharucoBoard:
        """The board of a ChArUco plate."""
        assert self.board is not None
        return self.board


def charuco(
    size: tuple[int, int],
    square: float,
    marker: float,
    dictionary: cv2.aruco.Dictionary,
    legacy: bool,
) -> Layout:
    """A ChArUco plate; `legacy` as OpenCV before 4.6 arranges an even number of rows."""
    board = cv2.aruco.CharucoBoard(size, square, marker, dictionary)
    board.setLegacyPattern(legacy)
    corners = [np.asarray(one, dtype=np.float64) for one in board.getObjPoints()]
    tags = dict(zip(np.asarray(board.getIds()).ravel().tolist(), corners, strict=True))
    return Layout(tags, square, [cv2.aruco.ArucoDetector(dictionary)], board)


def april_grid(
    size: tuple[int, int], pitch: float, marker: float, dictionary: cv2.aruco.Dictionary
) -> list[Layout]:
    """AprilGrids as Kalibr prints them: numbers from the bottom left, row by row upwards.

    Tags may be turned by quarters, since programs differ in which way up a tag is. Kalibr's tags
    have a border of two modules.
    """
    columns, rows = size
    gap = pitch - marker
    detectors = []
    for border in (2, 1):
        parameters = cv2.aruco.DetectorParameters()
        parameters.markerBorderBits = border
        parameters.adaptiveThreshWinSizeMax = 43
        detectors.append(cv2.aruco.ArucoDetector(dictionary, parameters))
    edge = marker * np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], dtype=np.float64)
    layouts = []
    for quarters in range(4):
        tags = {
            (rows - 1 - row) * columns + column: np.roll(edge, quarters, axis=0)
            + [gap + column * pitch, gap + row * pitch, 0.0]
            for row in range(rows)
            for column in range(columns)
        }
        layouts.append(Layout(tags, pitch, detectors))
    return layouts


def april_grid_image(
    columns: int, rows: int, share: float, pixels: int, dictionary: cv2.aruco.Dictionary
) -> Image:
    """An AprilGrid without a margin, grey.

    Args:
        columns: tags along x.
        rows: tags along y.
        share: edge of a tag, in distances from tag to tag.
        pixels: distance from tag to tag [px].
        dictionary: family of the tags.
    """
    edge = round(share * pixels)
    gap = pixels - edge
    image = np.full((rows * pixels + gap, columns * pixels + gap), 255, dtype=np.uint8)
    for row in range(rows + 1):
        for column in range(columns + 1):
            top, left = row * pixels, column * pixels
            image[top : top + gap, left : left + gap] = 0
            if row < rows and column < columns:
                tag = (rows - 1 - row) * columns + column
                picture = cv2.aruco.generateImageMarker(dictionary, tag, edge, borderBits=2)
                image[top + gap : top + pixels, left + gap : left + pixels] = picture
    return image


def find_tags(image: Image, detectors: Sequence[cv2.aruco.ArucoDetector]) -> tuple[Array, Ids]:
    """Tags in a picture, by the detector that finds the most.

    The small squares of an AprilGrid touch the corners of its tags. Where the tags are not found
    for that reason, they are searched again with thinner black parts.

    Args:
        image: grey, (height, width).
        detectors: to be tried, one after the other.

    Returns:
        corners: [px], (k, 4, 2).
        ids: (k,).
    """
    best: tuple[Array, Ids] = np.empty((0, 4, 2)), np.empty(0, dtype=np.int64)
    thinner = [image, np.asarray(cv2.dilate(image, np.ones((3, 3))), dtype=np.uint8)]
    for picture in thinner if len(detectors) > 1 else [image]:
        for detector in detectors:
            found, labels, _ = detector.detectMarkers(picture)
            if labels is not None and len(labels) > len(best[1]):
                corners = np.array(found, dtype=np.float64).reshape(-1, 4, 2)
                best = corners, np.asarray(labels, dtype=np.int64).ravel()
    return best


def fitting(layouts: Sequence[Layout], corners: Array, ids: Ids) -> list[Layout]:
    """The arrangements that tags in a picture agree with.

    Args:
        layouts: to be tried.
        corners: of the tags [px], (k, 4, 2).
        ids: of the tags, (k,).
    """
    found = []
    for layout in layouts:
        agree, count = _agreement(layout, corners, ids)
        if agree >= AGREEMENT * count and any(tag in layout.tags for tag in ids.tolist()):
            found.append((count - agree, count, layout))
    if any(count for _, count, _ in found):
        # An arrangement in which no two tags in view are neighbours is not a better explanation.
        found = [one for one in found if one[1]]
    least = min((wrong for wrong, _, _ in found), default=0)
    return [layout for wrong, _, layout in found if wrong < least + CLEARLY]


def _agreement(layout: Layout, corners: Array, ids: Ids) -> tuple[int, int]:
    """How many neighbours are where a tag predicts them, and how many neighbours there are."""
    known = [i for i, tag in enumerate(ids.tolist()) if tag in layout.tags]
    centers = {i: layout.tags[int(ids[i])].mean(axis=0) for i in known}
    agree = count = 0
    for i in known:
        near = [
            j
            for j in known
            if j != i and np.linalg.norm(centers[j] - centers[i]) < NEAR * layout.square
        ]
        if not near:
            continue
        on_plate = layout.tags[int(ids[i])][:, :2]
        project = cv2.getPerspectiveTransform(
            on_plate.astype(np.float32), corners[i].astype(np.float32)
        )
        edge = float(np.linalg.norm(corners[i] - np.roll(corners[i], 1, axis=0), axis=1).mean())
        pixels = edge * layout.square / float(np.linalg.norm(on_plate[1] - on_plate[0]))
        there = np.array([centers[j][:2] for j in near])
        expected = cv2.perspectiveTransform(there[:, None], project)[:, 0]
        seen = corners[near].mean(axis=1)
        count += len(near)
        agree += int((np.linalg.norm(expected - seen, axis=1) < OFF * pixels).sum())
    return agree, count


def refine_crossings(image: Image, found: Array, gap: float) -> Array:
    """Sub-pixel corners of the squares of a ChArUco plate.

    OpenCV's own refinement uses windows that reach into the tags, which shifts corners by up to
    half a pixel (measured: 0.46 px at squares of 60 px). These windows end before the tags.

    Args:
        image: grey, (height, width).
        found: corners by OpenCV [px], n of them.
        gap: between a square's edge and its tag, in edges of a square.

    Returns:
        Corners [px], (n, 2).
    """
    corners = np.array(found, dtype=np.float32).reshape(-1, 1, 2)
    apart = np.linalg.norm(corners - corners.reshape(1, -1, 2), axis=-1)
    np.fill_diagonal(apart, np.inf)
    # Of a foreshortened square the shorter edge counts.
    edges = np.minimum(apart.min(axis=1, initial=1e3), 1e3)
    windows = np.clip((SHORT_OF_TAG * gap * edges).astype(int), 2, 8)
    stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 100, 1e-3)
    for window in set(windows.tolist()):
        mine = windows == window
        corners[mine] = cv2.cornerSubPix(
            image, np.ascontiguousarray(corners[mine]), (window, window), (-1, -1), stop
        )
    return np.asarray(corners, dtype=np.float64).reshape(-1, 2)


@cache
def dictionaries() -> dict[str, cv2.aruco.Dictionary]:
    """The families that OpenCV has, by name, smaller ones last."""
    names = sorted({n.removeprefix("DICT_") for n in dir(cv2.aruco) if n.startswith("DICT_")})
    # Newer versions of OpenCV have each AprilTag family under two names.
    names = [name for name in names if "h" in name or not name.startswith(("APRIL", "ARUCO_MIP"))]
    found = {name: dictionary_named(name) for name in names}
    return dict(sorted(found.items(), key=lambda one: -len(one[1].bytesList)))


@cache
def dictionary_named(name: str) -> cv2.aruco.Dictionary:
    """A family by its name, the way up that its official pictures are if inhand prints it."""
    if name == "APRILTAG_36h11":
        return family()
    return cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, f"DICT_{name}"))
