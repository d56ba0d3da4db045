"""Plates of several kinds and layouts are found, and others are refused."""

from pathlib import Path

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

EVEN = Plate(rows=8)
LEGACY = Plate(rows=8, layout="legacy")
GRAIN = 60


def page(plate: Plate) -> Image:
    """The plate as printed, with a white margin of one square."""
    return np.pad(plate.image(GRAIN), GRAIN, constant_values=255)


def errors(plate: Plate, points: Array, pixels: Array) -> Array:
    """Distances of corners on the printed page from where they are [px], (n,)."""
    expected = points[:, :2] / plate.square * GRAIN + GRAIN - 0.5
    return np.linalg.norm(pixels - expected, axis=1)


@pytest.mark.parametrize(
    ("printed", "least", "accuracy"),
    [
        (Plate(), 54, 0.1),
        (EVEN, 63, 0.1),
        (LEGACY, 63, 0.1),
        (Plate(9, 6, dictionary="4X4_50"), 40, 0.1),
        (Plate(8, 6, kind="chessboard"), 35, 0.1),
        (Plate(9, 6, kind="chessboard"), 40, 0.1),
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
        assert errors(printed, points, pixels).max() < accuracy


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


@pytest.mark.parametrize("shift", [[0.0, 0.0, 0.0], [0.0, 0.13, 0.0], [0.1, 0.12, 0.0]])
def test_a_partly_seen_legacy_plate_does_not_move_the_camera(shift: list[float]) -> None:
    for printed in (EVEN, LEGACY):
        try:
            off, _ = from_above(printed, EVEN, np.array(shift))
        except CameraError as refusal:
            assert "both layouts" in str(refusal) or "corners of the plate" in str(refusal)
        else:
            assert off < 0.003


def test_one_row_of_tags_needs_the_name_of_the_layout() -> None:
    # The margin and the first row; of the second row only half is in view.
    for printed in (EVEN, LEGACY):
        row = np.ascontiguousarray(page(printed)[: 2 * GRAIN + GRAIN // 2])
        points, _, why = EVEN.look(row)
        assert not len(points) and "both layouts" in why and "--plate.layout" in why
        points, pixels = Plate(
            rows=8, layout=printed.layout if printed is LEGACY else "current"
        ).find(row)
        assert len(points) == 9 and errors(printed, points, pixels).max() < 0.1


def test_a_plate_of_another_size_is_not_taken_for_the_described_one() -> None:
    points, _, why = Plate().look(page(Plate(9, 8)))
    assert not len(points) and "10 x 7" in why and "--plate.columns" in why
    points, _, why = LEGACY.look(page(EVEN))
    assert not len(points) and "not where" in why


def test_another_family_is_named() -> None:
    views = LensViews(Plate(dictionary="4X4_50"))
    for _ in range(3):
        views.add(page(Plate(9, 8)))
    with pytest.raises(
        CameraError, match=r"shows 36 tags of the family 5X5_50.*--plate\.dictionary"
    ):
        views.report()


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
