"""Motion of an object that sways and turns, and the measurements that a filter gets of it."""

import numpy as np
from hypothesis import strategies as st

from inhand.controller.estimation.fusion import PoseFilter
from inhand.perception import rotations
from inhand.perception.objects import load_object
from inhand.perception.records import ObjectPose, TagCorners, frozen_array
from inhand.perception.rotations import Array
from inhand.sim_backend.rig import default_rig

BLOCK = load_object("block")
CENTER = np.array([0.0, 0.335, 0.055])
Measurement = tuple[float, Array, Array]

BOUND = 12.59
"""Chi-square with 6 degrees of freedom is below it in 95 % of cases."""


def truth(t: float) -> tuple[Array, Array]:
    """An object that sways by a centimetre and turns at up to 2 rad/s."""
    axis = np.array([0.6, 0.0, 0.8])
    return CENTER + 0.01 * np.sin(3 * t + np.arange(3.0)), rotations.exp(np.sin(2 * t) * axis)


def measured(t: float, rng: np.random.Generator, millimetres: float = 0.5) -> Measurement:
    """The truth with noise of half a millimetre and half a degree."""
    position, quaternion = truth(t)
    turn = rotations.exp(rng.normal(0.0, 0.009, 3))
    return (
        t,
        position + rng.normal(0.0, millimetres / 1000, 3),
        rotations.multiply(turn, quaternion),
    )


@st.composite
def histories(draw: st.DrawFn) -> list[Measurement]:
    """Measurements at irregular times, some of them wild."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    gaps = draw(st.lists(st.floats(1e-4, 0.3), min_size=1, max_size=12))
    history = []
    for t, wild in zip(np.cumsum(gaps), draw(st.lists(st.booleans(), min_size=12)), strict=False):
        t, position, quaternion = measured(float(t), rng)
        if wild:
            position = position + rng.normal(0.0, 0.1, 3)
            quaternion = rotations.random_quaternion(rng)
        history.append((t, position, quaternion))
    return history


def feed(pose_filter: PoseFilter, measurement: Measurement) -> None:
    pose_filter.update_pose(*measurement, sigma_position=5e-4, sigma_rotation=9e-3)


def predicted(pose_filter: PoseFilter, t: float) -> ObjectPose:
    pose = pose_filter.predict(t)
    assert pose is not None
    return pose


def assert_sound(pose: ObjectPose) -> None:
    """A unit quaternion, a symmetric positive definite covariance, and finite numbers."""
    assert abs(np.linalg.norm(pose.quaternion) - 1) < 1e-12
    np.testing.assert_array_equal(pose.covariance, pose.covariance.T)
    assert np.linalg.eigvalsh(pose.covariance).min() > 0
    assert np.isfinite(pose.position).all() and np.isfinite(pose.linear_velocity).all()
    assert np.isfinite(pose.angular_velocity).all()


def frames_at(t: float, noise: float, rng: np.random.Generator) -> list[TagCorners]:
    """The upper face seen by all three cameras."""
    position, quaternion = truth(t)
    frames = []
    for name, camera in default_rig().items():
        corners = camera.project(position + rotations.rotate(quaternion, BLOCK.tag(4).corners))
        corners = corners + rng.normal(0.0, noise, corners.shape)
        frames.append(TagCorners(t, name, (4,), frozen_array(corners[None]), noise))
    return frames
