"""Plates of several kinds and layouts are found, and others are refused."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from inhand.perception import rotations
from inhand.perception.calibration.extrinsics import calibrate_extrinsics
from inhand.perception.calibration.intrinsics import LensViews
from inhand.perception.calibration.plate import Plate
from inhand.perception.cameras import CameraError
from inhand.perception.rotations import Array
from inhand.perception.tags import Image
from tests.perception.calibration.test_plate_calibration import (
    CORNER,
    WORLD_FROM_PLATE,
    in_world,
    intrinsics_of,
    placed,
)
from tests.perception.plate_pictures import photograph

EVEN = Plate(11, 8)
LEGACY = Plate(11, 8, layout="legacy")
GRAIN = 60


def page(plate: Plate) -> Image:
    """The plate as printed, with a white margin of one square."""
    sharp = np.pad(plate.image(GRAIN), GRAIN, constant_values=255)
    return np.asarray(cv2.GaussianBlur(sharp, (0, 0), 1.0), dtype=np.uint8)


def errors(plate: Plate, points: Array, pixels: Array) -> Array:
    """Distances of corners on the printed page from where they are [px], (n,)."""
    expected = points[:, :2] / plate.square * GRAIN + GRAIN - 0.5
    return np.linalg.norm(pixels - expected, axis=1)


@pytest.mark.parametrize(
    ("printed", "least", "accuracy"),
    [
        (Plate(), 54, 0.01),
        (EVEN, 70, 0.01),
        (LEGACY, 70, 0.01),
        (Plate(9, 6, dictionary="4X4_50"), 40, 0.01),
        (Plate(8, 6, kind="chessboard"), 35, 0.15),
        (Plate(9, 6, kind="chessboard"), 40, 0.15),
        (Plate(6, 5, 0.03, 0.022, kind="aprilgrid"), 110, 0.7),
    ],
)
def test_a_printed_plate_is_found(printed: Plate, least: int, accuracy: float) -> None:
    described = Plate(
        printed.columns,
        printed.rows,
        printed.square,
        printed.marker,
        printed.kind,
        printed.dictionary,
    )
    for turned in (0, 1, 2):
        image = np.ascontiguousarray(np.rot90(page(printed), turned))
        points, pixels = described.find(image)
        assert len(points) >= least
        if turned == 1:
            pixels = np.column_stack([page(printed).shape[1] - 1 - pixels[:, 1], pixels[:, 0]])
        elif turned == 2:
            if printed.symmetric:
                continue
            pixels = np.array(image.shape[::-1]) - 1 - pixels
        off = errors(printed, points, pixels)
        if printed.symmetric:
            other = np.array([printed.columns, printed.rows]) * printed.square - points[:, :2]
            off = np.minimum(off, errors(printed, other, pixels))
        assert off.max() < accuracy


def from_above(printed: Plate, described: Plate, shift: Array) -> tuple[float, float]:
    """Error of a camera's place by a plate of which a part is seen [m], and the residual [px]."""
    camera = in_world(placed())
    rng = np.random.default_rng(5)
    corner = CORNER + rotations.rotate(WORLD_FROM_PLATE, shift)
    image = photograph(camera, printed, corner, WORLD_FROM_PLATE, rng)
    report = calibrate_extrinsics(
        "left", intrinsics_of(camera), described, corner, WORLD_FROM_PLATE, [image]
    )
    return float(np.linalg.norm(report.camera.position - camera.position)), report.residual


@pytest.mark.parametrize("shift", [[0.0, 0.0, 0.0], [-0.06, 0.0, 0.0], [0.04, 0.02, 0.0]])
def test_a_partly_seen_legacy_plate_does_not_move_the_camera(shift: list[float]) -> None:
    for printed in (EVEN, LEGACY):
        off, residual = 0.0, 0.0
        with suppress(CameraError):
            off, residual = from_above(printed, EVEN, np.array(shift))
        assert off < 0.001 and residual < 0.2
        # The layout that is named is used.
        named = replace(EVEN, layout="current" if printed is EVEN else "legacy")
        off, residual = from_above(printed, named, np.array(shift))
        assert off < 0.001 and residual < 0.2


@pytest.mark.parametrize("printed", [EVEN, LEGACY])
def test_a_part_that_fits_both_layouts_needs_the_name_of_the_layout(printed: Plate) -> None:
    # Without the first and the last column, a layout is the other one, shifted by a square.
    part = np.ascontiguousarray(page(printed)[:, 3 * GRAIN : 10 * GRAIN])
    points, _, why = EVEN.look(part)
    assert not len(points) and "both layouts" in why and "--plate.layout" in why
    named = replace(EVEN, layout="current" if printed is EVEN else "legacy")
    for plate in (named, EVEN.settled(page(printed))):
        points, pixels = plate.find(part)
        assert len(points) > 30
        assert errors(printed, points, pixels + [3 * GRAIN, 0]).max() < 0.15


def test_a_plate_of_another_size_is_not_taken_for_the_described_one() -> None:
    points, _, why = Plate().look(page(Plate(9, 8)))
    assert not len(points) and "10 x 7" in why and "--plate.columns" in why


def test_another_family_is_named() -> None:
    views = LensViews(Plate(dictionary="4X4_50"))
    for _ in range(3):
        views.add(page(Plate(9, 8)))
    with pytest.raises(
        CameraError, match=r"shows 36 tags of the family 5X5_50.*--plate\.dictionary"
    ):
        views.report()


def test_inner_corners_of_a_chessboard_are_not_its_squares() -> None:
    image = cv2.resize(page(Plate(9, 6, kind="chessboard")), None, fx=0.5, fy=0.5)
    grey = np.asarray(image, dtype=np.uint8)
    counted = Plate(8, 5, kind="chessboard")
    assert not len(counted.find(grey)[0])
    assert "give --plate.columns 9 --plate.rows 6" in counted.explain(grey)
    assert Plate(12, 9, kind="chessboard").explain(grey) == ""


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"square": 20.0, "marker": 15.0}, "square = 20 m.*metres, 20 mm is 0.02"),
        ({"square": 0.00002, "marker": 0.000015}, "metres"),
        ({"marker": 0.03}, "marker = 0.03 m must be smaller than square = 0.02"),
        ({"marker": -0.01}, "marker = -0.01"),
        ({"square": float("nan")}, "square = nan"),
        ({"columns": 1}, "1 columns and 7 rows must be 3 to 100"),
        ({"columns": -4}, "-4 columns"),
        ({"columns": 30, "rows": 20}, "300 tags, but the family 5X5_100 has only 100"),
        ({"dictionary": "9X9"}, "no family '9X9'; it may be .*4X4_50"),
    ],
)
def test_impossible_plates_are_refused_in_one_sentence(sizes: dict[str, int], message: str) -> None:
    with pytest.raises(CameraError, match=message) as refusal:
        Plate(**sizes)
    assert "\n" not in str(refusal.value)


def test_a_symmetric_chessboard_has_no_place(tmp_path: Path) -> None:
    board = Plate(8, 6, kind="chessboard")
    with pytest.raises(CameraError, match="half a turn"):
        from_above(board, board, np.zeros(3))
    assert (
        from_above(Plate(9, 6, kind="chessboard"), Plate(9, 6, kind="chessboard"), np.zeros(3))[0]
        < 1e-3
    )
