"""Fisheye and rational lenses, through detection, pose, calibration and their files."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from inhand.perception import rotations
from inhand.perception.calibration.extrinsics import calibrate_extrinsics
from inhand.perception.calibration.intrinsics import LensViews
from inhand.perception.calibration.plate import Plate
from inhand.perception.cameras import Camera, CameraError, load_rig, look_at, save_rig
from inhand.perception.detection.detection import TagDetector
from inhand.perception.lens import Lens
from inhand.perception.objects import ObjectDescription
from inhand.perception.pose.pose import estimate_poses
from inhand.perception.records import TagCorners, frozen_array
from inhand.perception.rotations import Array
from inhand.perception.tags import Image
from inhand.sim_backend.scene import Scene
from tests.perception.calibration.test_plate_calibration import intrinsics_of
from tests.perception.plate_pictures import photograph

FISHEYE = Lens(
    frozen_array([[260.0, 0.0, 322.0], [0.0, 261.0, 238.0], [0.0, 0.0, 1.0]]),
    frozen_array([0.05, -0.01, 0.003, -0.001]),
    "fisheye",
)
RATIONAL = Lens(
    frozen_array([[330.0, 0.0, 322.0], [0.0, 331.0, 238.0], [0.0, 0.0, 1.0]]),
    frozen_array([0.267, 0.001, 0.0005, -0.0005, 0.0, 0.6, 0.002, 0.0]),
)
LENSES = pytest.mark.parametrize("lens", [FISHEYE, RATIONAL], ids=["fisheye", "rational"])
OBJECT = np.array([0.0, 0.335, 0.055])


def camera_with(lens: Lens, position: Array, target: Array) -> Camera:
    up = np.array([0.0, 0.0, 1.0])
    return Camera(
        name="wide",
        width=640,
        height=480,
        matrix=lens.matrix,
        distortion=lens.distortion,
        position=frozen_array(position),
        quaternion=frozen_array(look_at(position, target, up)),
        model=lens.model,
    )


def seen_by(scene: Scene, camera: Camera) -> Image:
    """A render through a wide lens: of a large pinhole image, bent."""
    width, height, focal = 2200, 1700, 330.0
    pinhole = replace(
        camera,
        width=width,
        height=height,
        matrix=frozen_array(
            [[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1.0]]
        ),
        distortion=frozen_array(np.zeros(5)),
        model="pinhole",
    )
    image = cv2.cvtColor(scene.render(pinhole), cv2.COLOR_RGB2GRAY)
    rows, columns = np.mgrid[: camera.height, : camera.width]
    pixels = np.stack([columns, rows], axis=-1).reshape(-1, 2).astype(np.float64)
    rays = np.clip(camera.normalize(pixels), -9, 9)
    at = (rays * focal + pinhole.matrix[:2, 2]).reshape(camera.height, camera.width, 2)
    at = at.astype(np.float32)
    return np.asarray(cv2.remap(image, at[..., 0], at[..., 1], cv2.INTER_AREA), dtype=np.uint8)


@LENSES
def test_rays_undo_projection_and_derivatives_are_right(lens: Lens) -> None:
    rng = np.random.default_rng(0)
    angle, about = rng.uniform(0.0, 1.0, 200), rng.uniform(-np.pi, np.pi, 200)
    points = np.column_stack(
        [np.sin(angle) * np.cos(about), np.sin(angle) * np.sin(about), np.cos(angle)]
    )
    pixels = lens.project(points)
    np.testing.assert_allclose(lens.rays(pixels), points[:, :2] / points[:, 2:], atol=1e-6)
    assert lens.sees(pixels).all()
    _, by_point = lens.derivative(points)
    by_numbers = lens.by_parameters(points)
    for axis in range(3):
        step = 1e-6 * np.eye(3)[axis]
        change = (lens.project(points + step) - lens.project(points - step)) / 2e-6
        np.testing.assert_allclose(by_point[:, :, axis], change, rtol=1e-4, atol=1e-3)
    for k in range(len(lens.distortion)):
        step = 1e-6 * np.eye(len(lens.distortion))[k]
        more, less = (replace(lens, distortion=lens.distortion + s) for s in (step, -step))
        change = (more.project(points) - less.project(points)) / 2e-6
        np.testing.assert_allclose(by_numbers[:, :, 4 + k], change, rtol=1e-3, atol=1e-3)


@LENSES
@pytest.mark.parametrize("aside", [0.0, 0.55])
def test_the_object_is_found_at_the_border_of_a_wide_image(
    scene: Scene, rest: Array, block: ObjectDescription, lens: Lens, aside: float
) -> None:
    """`aside` is the angle between the optical axis and the object [rad]."""
    turn = rotations.exp(np.array([0.4, -0.3, 0.2]))
    scene.place(rest, OBJECT, turn)
    position = OBJECT + [0.02, -0.05, 0.16]
    straight = look_at(position, OBJECT, np.array([0.0, 0.0, 1.0]))
    camera = replace(
        camera_with(lens, position, OBJECT),
        quaternion=frozen_array(
            rotations.multiply(straight, rotations.exp(np.array([0.0, aside, 0.0])))
        ),
    )
    seen = TagDetector(camera, block).detect(seen_by(scene, camera), 0.0)
    assert seen.ids
    for tag, corners in zip(seen.ids, seen.corners, strict=True):
        truth = camera.project(OBJECT + rotations.rotate(turn, block.tag(tag).corners))
        assert np.abs(corners - truth).max() < 0.35
    (pose, *_) = estimate_poses(block, {"wide": camera}, [seen])
    assert np.linalg.norm(pose.position - OBJECT) < 0.001
    assert rotations.angle_between(pose.quaternion, turn) < 0.01
    # With a camera that may be off, the derivatives by its errors count.
    loose = replace(camera, position_sigma=0.001, rotation_sigma=0.01, focal_sigma=0.01)
    (pose, *_) = estimate_poses(block, {"wide": loose}, [seen])
    assert np.linalg.norm(pose.position - OBJECT) < 0.003


PLATE = Plate()
MIDDLE = np.array([0.1, 0.07, 0.0])


def plate_pictures(camera: Camera, count: int) -> list[Image]:
    rng = np.random.default_rng(3)
    images = []
    for k in range(count):
        turn = rotations.exp(rng.uniform(-1, 1, 3) * [0.7, 0.7, 0.5])
        aside = [[-0.09, 0.09][k % 2], [-0.06, 0.06][k // 2 % 2], 0.0]
        away = rng.uniform(0.2, 1, 3) * aside + [0, 0, rng.uniform(0.1, 0.14)]
        corner = away - rotations.rotate(turn, MIDDLE)
        images.append(photograph(camera, PLATE, corner, turn, rng))
    return images


@LENSES
def test_a_wide_lens_and_its_place_are_found_again(lens: Lens, tmp_path: Path) -> None:
    camera = replace(
        camera_with(lens, np.zeros(3), np.array([0.0, 0.0, 1.0]) + [0, 1e-6, 0]),
        quaternion=frozen_array([1.0, 0.0, 0.0, 0.0]),
    )
    images = plate_pictures(camera, 16)
    views = LensViews(PLATE, lens.model, len(lens.distortion))
    for image in images:
        views.add(image)
    report = views.report()
    found = report.intrinsics
    assert report.residual < 0.3 and (found.model, len(found.distortion)) == (
        lens.model,
        len(lens.distortion),
    )
    off = (found.matrix - lens.matrix)[[0, 1, 0, 1], [0, 1, 2, 2]]
    assert (np.abs(off) < 5 * report.deviation + 0.1).all()
    # The plate in a corner of the image.
    place = replace(found, matrix=lens.matrix, distortion=lens.distortion)
    corner, turn = np.array([0.02, -0.03, 0.16]), rotations.exp(np.array([0.5, 0.3, 0.1]))
    picture = photograph(camera, PLATE, corner, turn, np.random.default_rng(1))
    placed = calibrate_extrinsics("wide", place, PLATE, corner, turn, [picture])
    assert np.linalg.norm(placed.camera.position) < 4e-4
    assert placed.camera.model == lens.model
    save_rig(tmp_path / "rig.toml", {"wide": placed.camera})
    again = load_rig(tmp_path / "rig.toml")["wide"]
    np.testing.assert_array_equal(again.distortion, placed.camera.distortion)
    assert again.model == lens.model
    assert intrinsics_of(again).width == 640


def test_a_fisheye_is_no_pinhole(tmp_path: Path) -> None:
    """With the wrong model the residual says so, and a rig file with it is refused."""
    camera = replace(
        camera_with(FISHEYE, np.zeros(3), np.array([0.0, 1e-6, 1.0])),
        quaternion=frozen_array([1.0, 0.0, 0.0, 0.0]),
    )
    with pytest.raises(CameraError, match="distortion of a fisheye lens has 5 numbers"):
        save_rig(
            tmp_path / "rig.toml", {"wide": replace(camera, distortion=frozen_array(np.zeros(5)))}
        )
    assert not (tmp_path / "rig.toml").exists()


def test_cameras_of_different_sizes_and_lenses_agree(
    rig: dict[str, Camera], block: ObjectDescription
) -> None:
    """A fisheye at 640x480 and a pinhole at 320x240 see one object."""
    wide = camera_with(FISHEYE, OBJECT + [0.1, -0.05, 0.12], OBJECT)
    cameras = {"wide": wide, "left": rig["left"]}
    turn = rotations.exp(np.array([0.2, 0.1, 0.5]))
    rng = np.random.default_rng(0)
    frames = []
    for name, camera in cameras.items():
        ids, corners = [], []
        for tag in block.tags:
            points = OBJECT + rotations.rotate(turn, tag.corners)
            normal = rotations.rotate(turn, rotations.to_matrix(tag.quaternion)[:, 2])
            if normal @ (camera.position - points.mean(axis=0)) > 0.03:
                ids.append(tag.id)
                corners.append(camera.project(points) + rng.normal(0.0, 0.1, (4, 2)))
        frames.append(TagCorners(0.0, name, tuple(ids), frozen_array(corners), 0.1))
    (pose,) = estimate_poses(block, cameras, frames)
    assert pose.cameras == 2 and pose.residual < 0.3
    assert np.linalg.norm(pose.position - OBJECT) < 3e-4
    error = np.concatenate(
        [
            pose.position - OBJECT,
            rotations.log(rotations.multiply(turn, rotations.conjugate(pose.quaternion))),
        ]
    )
    assert error @ np.linalg.solve(pose.covariance, error) < 25.0
