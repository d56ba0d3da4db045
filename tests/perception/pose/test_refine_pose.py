"""The derivative of the least squares, with camera offsets."""

import numpy as np
import pytest

from inhand.hardware.model.universe import Universe
from inhand.perception import rotations
from inhand.perception.objects import load_object
from inhand.perception.pose import refine_pose
from inhand.sim_backend.rig import declared_rig, default_rig

BLOCK = load_object("block")
SHIFTED = Universe(camera_shift=(0.0015, 0.025), camera_focal=0.01)


@pytest.mark.parametrize("seed", range(3))
def test_the_derivative_is_that_of_the_residual_with_cameras_turned(seed: int) -> None:
    rng = np.random.default_rng(seed)
    seen = [
        (camera, tag.corners, camera.project(tag.corners + [0.0, 0.335, 0.055]), 0.1)
        for camera in declared_rig(default_rig(640, 480), SHIFTED).values()
        for tag in BLOCK.tags[:3]
    ]
    corners = refine_pose.gather(seen)
    offsets = rng.normal(0.0, 1.0, corners.sigmas.shape) * corners.sigmas
    position = np.array([0.0, 0.335, 0.055])
    rotation = rotations.to_matrix(rotations.random_quaternion(rng))

    def residual(change: np.ndarray) -> np.ndarray:
        moved = np.array(offsets)
        moved.flat[corners.loose] += change[6:]
        pose = (position + change[:3], refine_pose.matrix(change[3:6]) @ rotation)
        return refine_pose._residuals(corners, pose, moved)[0].ravel()

    _, arms, local = refine_pose._residuals(corners, (position, rotation), offsets)
    found = refine_pose._jacobian(corners, arms, local, offsets)
    steps = 1e-6 * np.eye(found.shape[1])
    expected = np.stack([(residual(-step) - residual(step)) / 2e-6 for step in steps], axis=-1)
    np.testing.assert_allclose(found, expected, atol=3e-5 * np.abs(expected).max())


def test_corners_of_a_frame_are_gathered_together_as_tag_by_tag_to_the_bit() -> None:
    place, apart, together = np.array([0.0, 0.335, 0.055]), [], []
    for camera in default_rig(640, 480).values():
        pixels = [camera.project(tag.corners + place) for tag in BLOCK.tags[:3]]
        points = [tag.corners for tag in BLOCK.tags[:3]]
        apart += [(camera, *one, 0.1) for one in zip(points, pixels, strict=True)]
        together.append((camera, np.concatenate(points), np.concatenate(pixels), 0.1))
    one, other = refine_pose.gather(apart), refine_pose.gather(together)
    for name in ("points", "rays", "camera", "lenses", "focal_lengths", "noise", "sigmas"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
