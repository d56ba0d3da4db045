"""Poses from vertices: their covariance is that of their errors; what fits nothing is refused."""

import numpy as np

from inhand.perception import rotations
from inhand.perception.keypoints.detector import NO_CORNERS
from inhand.perception.keypoints.window import Window, diameter, window_around
from inhand.perception.objects import load_object
from inhand.perception.pose.pose import PoseEstimate, estimate_poses
from inhand.perception.records import TagCorners
from inhand.perception.rotations import Array
from inhand.sim_backend.rig import TARGET, default_rig

BLOCK = load_object("block")
CAMERAS = default_rig()
RIG = list(CAMERAS.values())


def record(camera: str, pixels: Array, deviations: Array) -> TagCorners:
    vertices = np.column_stack([pixels, deviations])
    return TagCorners(0.0, camera, (), NO_CORNERS, 1.0, vertices)


def records(rng: np.random.Generator, position: Array, turn: Array) -> list[TagCorners]:
    """The vertices as a network sees them: each with a deviation of its own, and told so."""
    seen = []
    for camera in RIG:
        deviations = rng.uniform(0.5, 4.0, 8)
        true = camera.project(position + rotations.rotate(turn, BLOCK.vertices))
        noise = rng.normal(size=(8, 2)) * deviations[:, None]
        seen.append(record(camera.name, true + noise, deviations))
    return seen


def found_at(rng: np.random.Generator) -> tuple[Array, PoseEstimate | None]:
    position = np.array(TARGET) + rng.uniform(-0.01, 0.01, 3)
    turn = rotations.random_quaternion(rng)
    poses = estimate_poses(BLOCK, CAMERAS, records(rng, position, turn))
    if not poses:
        return np.full(6, np.inf), None
    away = rotations.multiply(poses[0].quaternion, rotations.conjugate(turn))
    return np.concatenate([poses[0].position - position, rotations.log(away)]), poses[0]


def test_covariance_is_that_of_the_errors() -> None:
    rng = np.random.default_rng(1)
    squares = []
    for _ in range(200):
        error, found = found_at(rng)
        assert found is not None
        squares.append(error @ np.linalg.solve(found.covariance, error))
    # 95 % of 200 are within 12.59; three standard deviations of a count are 4.6 %.
    assert abs(np.mean(np.array(squares) < 12.592) - 0.95) < 0.05


def test_start_without_a_guess() -> None:
    error, found = found_at(np.random.default_rng(2))
    assert found is not None
    assert np.linalg.norm(error[:3]) < 0.004
    assert np.linalg.norm(error[3:]) < 0.15


def test_vertices_of_no_pose_are_refused() -> None:
    rng = np.random.default_rng(3)
    seen = [record(name, rng.uniform(100, 200, (8, 2)), np.full(8, 1.0)) for name in CAMERAS]
    assert not estimate_poses(BLOCK, CAMERAS, seen)
    assert not estimate_poses(BLOCK, CAMERAS, [])


def test_tags_are_used_where_they_are_seen() -> None:
    rng = np.random.default_rng(4)
    position, turn = np.array(TARGET), rotations.IDENTITY
    camera, tag = CAMERAS["left"], BLOCK.tag(4)
    pixels = camera.project(position + rotations.rotate(turn, tag.corners))[None]
    with_tag = TagCorners(0.0, "left", (tag.id,), pixels, 0.1)
    alone = estimate_poses(BLOCK, CAMERAS, [with_tag])
    mixed = estimate_poses(BLOCK, CAMERAS, [with_tag, *records(rng, position, turn)[1:]])
    assert np.array_equal(mixed[0].covariance, alone[0].covariance)


def test_window_and_picture() -> None:
    window = window_around(RIG[0], BLOCK, np.array(TARGET))
    pixels = np.array([[100.0, 80.0], [160.0, 120.0]])
    assert np.allclose(window.to_picture(window.from_picture(pixels)), pixels)
    assert np.allclose(window.center, [(320 - 1) / 2, (240 - 1) / 2])
    assert diameter(BLOCK) == 0.055 * 3**0.5


def test_a_cut_shows_what_is_in_the_window() -> None:
    image = np.zeros((240, 320, 3), np.uint8)
    image[120:, 160:] = 255
    window = Window(np.array([159.5, 119.5]), 120.0)
    cut = window.cut(image)
    assert cut[:46, :].max() == 0
    assert cut[:, :46].max() == 0
    assert cut[50:, 50:].min() == 255
