"""Intrinsics and poses of cameras are recovered from pictures of a plate."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from inhand.perception import rotations
from inhand.perception.calibration import calibrate
from inhand.perception.calibration.camera_info import Intrinsics, load_intrinsics, save_intrinsics
from inhand.perception.calibration.extrinsics import calibrate_extrinsics
from inhand.perception.calibration.intrinsics import LensViews
from inhand.perception.calibration.lens_report import IntrinsicsReport
from inhand.perception.calibration.plate import Plate
from inhand.perception.cameras import Camera, CameraError, load_rig, look_at
from inhand.perception.records import frozen_array
from inhand.perception.rotations import Array
from inhand.perception.tags import Image
from tests.perception.plate_pictures import photograph

PLATE = Plate()
CENTER = np.array([0.1, 0.07, 0.0])
UPRIGHT = np.array([1.0, 0.0, 0.0, 0.0])


def true_camera() -> Camera:
    """A lens with distortion and a centre that is not in the middle, above the plate."""
    return Camera(
        name="left",
        width=640,
        height=480,
        matrix=frozen_array([[862.0, 0, 330.0], [0, 858.0, 232.0], [0, 0, 1]]),
        distortion=frozen_array([-0.18, 0.07, 0.001, -0.0015, 0.0]),
        position=frozen_array([0.1, 0.07, -0.3]),
        quaternion=frozen_array(UPRIGHT),
    )


def intrinsics_of(camera: Camera) -> Intrinsics:
    return Intrinsics(camera.width, camera.height, camera.matrix, camera.distortion)


def lens_report(images: list[Image]) -> IntrinsicsReport:
    """What pictures of the plate say of the lens."""
    views = LensViews(PLATE)
    for image in images:
        views.add(image)
    return views.report()


def pictures(count: int, tilt: float, reach: float) -> list[Image]:
    """The plate tilted by up to `tilt` [rad] and moved sideways by up to `reach` [m]."""
    rng = np.random.default_rng(1)
    images = []
    for _ in range(count):
        turn = rotations.exp(rng.uniform(-1, 1, 3) * [tilt, tilt, 0.5])
        away = rng.uniform(-1, 1, 3) * [reach, reach, 0.03]
        corner = CENTER + away - rotations.rotate(turn, CENTER)
        images.append(photograph(true_camera(), PLATE, corner, turn, rng))
    return images


@pytest.fixture(scope="module")
def good() -> list[Image]:
    return pictures(14, 0.6, 0.06)


def test_printed_plates_stay_good() -> None:
    # The tags in the white squares at column 1, column 3 and the second row's first.
    page = PLATE.image(28)
    for column, row, code in ((1, 0, 0x145B2BC), (3, 0, 0x1C06E6), (0, 1, 0x1D4082D)):
        square = page[28 * row : 28 * row + 28, 28 * column : 28 * column + 28]
        data = (square[8:23:3, 8:23:3] > 127).ravel()
        assert int("".join(str(int(bit)) for bit in data), 2) == code
    assert not page[:28, :28].any()


def test_corners_of_the_plate_are_where_they_are() -> None:
    page = np.pad(PLATE.image(40), 40, constant_values=255)
    points, pixels = PLATE.find(page)
    assert len(points) == 54
    np.testing.assert_allclose(pixels, points[:, :2] / PLATE.square * 40 + 39.5, atol=0.05)


def test_a_picture_that_was_saved_again_counts_once(good: list[Image]) -> None:
    views = LensViews(PLATE)
    for image in good[:5]:
        _, data = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, 80))
        again = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
        assert views.add(image) and not views.add(np.asarray(again, dtype=np.uint8))
    with pytest.raises(CameraError, match=r"5 of 10 pictures .*\(5 show it exactly where another"):
        views.report()


def test_a_lens_is_found_again(good: list[Image], tmp_path: Path) -> None:
    camera = true_camera()
    report = lens_report(good)
    found = report.intrinsics
    assert report.residual < 0.3 and report.coverage > 0.8
    off = np.array(
        [found.matrix[i, j] - camera.matrix[i, j] for i, j in ((0, 0), (1, 1), (0, 2), (1, 2))]
    )
    assert (np.abs(off) < 4 * report.deviation).all() and np.abs(off).max() < 2.0
    # What counts is where points appear, by all of the lens together.
    points = CENTER + np.random.default_rng(2).uniform(-1, 1, (200, 3)) * [0.08, 0.06, 0.02]
    other = replace(camera, matrix=found.matrix, distortion=found.distortion)
    apart = np.linalg.norm(camera.project(points) - other.project(points), axis=1)
    assert np.median(apart - np.median(apart)) < 0.3
    save_intrinsics(tmp_path / "left.yaml", "left", found)
    again = load_intrinsics(tmp_path / "left.yaml")
    np.testing.assert_array_equal(again.matrix, found.matrix)
    np.testing.assert_array_equal(again.distortion, found.distortion)
    assert (again.width, again.height) == (640, 480)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (lambda good: good[:5], "5 of 5 pictures.*8 are needed"),
        (lambda good: [good[0]] * 10, "1 of 10 pictures.*9 show it exactly"),
        (lambda good: [np.zeros_like(image) for image in good], "0 of 14 pictures"),
        (lambda good: [*good, good[0][:100]], "2 sizes"),
    ],
)
def test_pictures_that_do_not_suffice_are_refused(
    good: list[Image], chosen: "object", message: str
) -> None:
    assert callable(chosen)
    with pytest.raises(CameraError, match=message):
        lens_report(chosen(good))


GOOD = """image_width: 320
image_height: 240
camera_name: left
camera_matrix:
  rows: 3
  cols: 3
  data: [431.0, 0.0, 165.0, 0.0, 428.0, 116.0, 0.0, 0.0, 1.0]
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: [-0.18, 0.07, 0.001, -0.0015, 0.0]
"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD[:60], "not YAML; is it complete"),
        (GOOD[:150], "no distortion_coefficients"),
        (GOOD.replace("plumb_bob", "equidistant"), "fisheye lens has 4 numbers"),
        (GOOD.replace("431.0", ".nan"), "finite|numbers"),
        (GOOD.replace("320", "-320"), "positive"),
        ("\x00\x01\x02", "not YAML"),
        ("", "is it complete"),
    ],
)
def test_a_broken_lens_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "left.yaml"
    path.write_text(GOOD)
    assert load_intrinsics(path).matrix[0, 0] == 431.0
    path.write_text(text)
    with pytest.raises(CameraError, match=message):
        load_intrinsics(path)
    with pytest.raises(CameraError, match="cannot be read"):
        load_intrinsics(tmp_path / "none.yaml")


def placed() -> Camera:
    """The camera where it looks at the plate from the side."""
    position = np.array([0.0, 0.25, -0.22])
    turn = look_at(position, CENTER, np.array([0.0, -0.3, -1.0]))
    return replace(true_camera(), position=frozen_array(position), quaternion=frozen_array(turn))


WORLD_FROM_PLATE = rotations.exp(np.array([np.pi, 0.0, 0.0]))
CORNER = np.array([0.02, 0.3, 0.01])


def in_world(camera: Camera) -> Camera:
    """The same camera with the plate at its place on the hand's base."""
    return replace(
        camera,
        position=frozen_array(CORNER + rotations.rotate(WORLD_FROM_PLATE, camera.position)),
        quaternion=frozen_array(rotations.multiply(WORLD_FROM_PLATE, camera.quaternion)),
    )


def shots(camera: Camera, count: int, corner: Array = CORNER) -> list[Image]:
    rng = np.random.default_rng(3)
    return [photograph(camera, PLATE, corner, WORLD_FROM_PLATE, rng) for _ in range(count)]


@pytest.mark.parametrize("wrong", [-0.003, 0.0, 0.003])
def test_the_same_picture_again_and_again_makes_a_place_no_surer(wrong: float) -> None:
    camera = in_world(placed())
    matrix = np.array(camera.matrix)
    matrix[[0, 1], [0, 1]] *= 1.0 + wrong
    lens = replace(intrinsics_of(camera), matrix=frozen_array(matrix))
    image = shots(camera, 1)
    once, often = (
        calibrate_extrinsics("left", lens, PLATE, CORNER, WORLD_FROM_PLATE, count * image).camera
        for count in (1, 20)
    )
    assert often.position_sigma == pytest.approx(once.position_sigma, rel=0.05)
    assert often.rotation_sigma == pytest.approx(once.rotation_sigma, rel=0.05)
    # An error of the focal length, which no residual shows, is within what is said.
    assert np.linalg.norm(often.position - camera.position) < 3 * often.position_sigma < 0.004


def test_a_place_is_found_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    camera = in_world(placed())
    images = shots(camera, 3)
    report = calibrate_extrinsics(
        "left", intrinsics_of(camera), PLATE, CORNER, WORLD_FROM_PLATE, images
    )
    away = np.linalg.norm(report.camera.position - camera.position)
    turned = rotations.angle_between(report.camera.quaternion, camera.quaternion)
    assert away < 4 * report.camera.position_sigma + 1e-4 and away < 4e-4
    assert turned < 4 * report.camera.rotation_sigma + 2e-4 and turned < 1e-3
    # The same by the command, which keeps what the rig holds of other cameras.
    save_intrinsics(tmp_path / "left.yaml", "left", intrinsics_of(camera))
    (tmp_path / "left").mkdir()
    for k, image in enumerate(images):
        cv2.imwrite(str(tmp_path / "left" / f"{k}.png"), image)
    calibrate.Places(
        tmp_path,
        ("left",),
        tmp_path / "rig.toml",
        tuple(CORNER.tolist()),
        tuple(WORLD_FROM_PLATE.tolist()),
    ).run()
    saved = load_rig(tmp_path / "rig.toml")["left"]
    np.testing.assert_allclose(saved.position, report.camera.position, atol=1e-12)
    assert saved.rotation_sigma == report.camera.rotation_sigma > 0
    assert "left: residual" in capsys.readouterr().out
    assert (tmp_path / "left-place.png").exists()


def test_places_that_cannot_be_known_are_refused() -> None:
    camera = in_world(placed())
    lens, images = intrinsics_of(camera), shots(camera, 1)

    def find(images: list[Image], lens: Intrinsics = lens) -> None:
        calibrate_extrinsics("left", lens, PLATE, CORNER, WORLD_FROM_PLATE, images)

    with pytest.raises(CameraError, match="corners of the plate were found"):
        find([np.zeros_like(images[0])])
    with pytest.raises(CameraError, match="640x100.*640x480"):
        find([images[0][:100]])
    with pytest.raises(CameraError, match="moved"):
        find([*images, *shots(camera, 1, CORNER + [0.01, 0.0, 0.0])])
    with pytest.raises(CameraError, match="or is the lens"):
        find(images, replace(lens, distortion=frozen_array([0.6, 0.0, 0.0, 0.0, 0.0])))
