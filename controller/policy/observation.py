"""The policy's observation: measured quantities only, the same for robot and simulation.

The object's rotation is given twice. Contact depends on the attitude of the shape: of all
orientations that are equal under the object's symmetry, the one nearest to identity. The task
depends on the rotation to go, goal · current⁻¹, in the world frame.

A policy file lists the parts of its observation. Each version of the layout has the parts of the
one before and more at the end, so that policies of every version can run.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inhand.hardware.model.hand import Hand
from inhand.hardware.records import Array
from inhand.perception import rotations
from inhand.perception.objects import ObjectDescription

MAX_POSE_AGE = 0.5
"""The age of the pose is clipped to this value [s]."""


Layout = tuple[tuple[str, int, str], ...]
"""Name, size and unit of each part of an observation, in order."""

VERSIONS = (1, 2, 3)
"""All versions of the layout.

Version 2 adds the object's angular velocity and the tolerance; version 3 adds the orientations of
object and goal themselves, for policies that were made elsewhere.
"""


def observation_layout(hand: Hand, version: int = 1) -> Layout:
    """Name, size and unit of each part of the observation, in order."""
    first = (
        ("joint_position", hand.n_actuators, "rad"),
        ("sent_target", hand.n_actuators, "rad"),
        ("fingertip_from_object", 3 * len(hand.fingertips), "m"),
        ("object_from_palm", 3, "m"),
        ("object_attitude", 9, "1"),
        ("rotation_to_go_matrix", 9, "1"),
        ("rotation_to_go_axis", 3, "1"),
        ("rotation_to_go_vector", 3, "rad"),
        ("rotation_to_go_angle", 1, "rad"),
        ("pose_age", 1, "s"),
    )
    if version == 1:
        return first
    second = (*first, ("object_angular_velocity", 3, "rad/s"), ("goal_tolerance", 1, "rad"))
    if version == 2:
        return second
    return (*second, ("object_orientation", 4, "1"), ("goal_orientation", 4, "1"))


def observation_size(hand: Hand, version: int = 1) -> int:
    """Length of the observation."""
    return sum(size for _, size, _ in observation_layout(hand, version))


def version_of(hand: Hand, layout: Sequence[tuple[str, int, str]]) -> int | None:
    """The version with this layout; None if there is none."""
    known = {observation_layout(hand, version): version for version in VERSIONS}
    return known.get(tuple(layout))


def version_with_size(hand: Hand, size: int) -> int | None:
    """The version with observations of this length; None if there is none."""
    known = {observation_size(hand, version): version for version in VERSIONS}
    return known.get(size)


def attitude(symmetry: Array, quaternion: Array) -> Array:
    """The representative of an orientation under a symmetry group, nearest to identity.

    Args:
        symmetry: the group, (k, 4) wxyz.
        quaternion: orientations, (..., 4) wxyz.

    Returns:
        q · s for the s in the group that makes its angle smallest, (..., 4) wxyz.
    """
    # |w| of q·s decides, and w of a product is a dot product with the conjugate.
    real = np.abs(quaternion @ rotations.conjugate(symmetry).T)
    return rotations.multiply(quaternion, symmetry[np.argmax(real, axis=-1)])


def observe(
    hand: Hand,
    target: ObjectDescription,
    *,
    joint_position: Array,
    sent_target: Array,
    fingertips: Array,
    object_position: Array,
    object_quaternion: Array,
    goal_quaternion: Array,
    pose_age: Array,
    object_angular_velocity: Array,
    goal_tolerance: Array,
    version: int = 1,
) -> NDArray[np.float32]:
    """Builds the observation, over leading batch axes.

    Args:
        hand: the hand.
        target: the object.
        joint_position: measured servo angles [rad], (..., n_actuators).
        sent_target: targets last sent [rad], (..., n_actuators).
        fingertips: from forward kinematics, world frame [m], (..., n_fingertips, 3).
        object_position: fused, world frame [m], (..., 3).
        object_quaternion: fused, world from object, (..., 4) wxyz.
        goal_quaternion: wanted, world from object, (..., 4) wxyz.
        pose_age: time since the pose was last measured [s], (...).
        object_angular_velocity: fused, world frame [rad/s], (..., 3).
        goal_tolerance: largest error at which the goal is reached [rad], (...).
        version: of the layout.

    Returns:
        (..., observation_size), laid out as `observation_layout` says.
    """
    batch = joint_position.shape[:-1]
    to_go = rotations.multiply(goal_quaternion, rotations.conjugate(object_quaternion))
    vector = rotations.log(to_go)
    angle = np.sqrt(np.einsum("...i,...i->...", vector, vector))[..., None]
    relative = fingertips - object_position[..., None, :]
    parts = [
        joint_position,
        sent_target,
        relative.reshape(*batch, -1),
        object_position - np.array(hand.workspace.center),
        rotations.to_matrix(attitude(target.symmetry, object_quaternion)).reshape(*batch, 9),
        rotations.to_matrix(to_go).reshape(*batch, 9),
        vector / np.maximum(angle, 1e-6),
        vector,
        angle,
        np.minimum(pose_age, MAX_POSE_AGE)[..., None],
    ]
    if version > 1:
        parts += [object_angular_velocity, goal_tolerance[..., None]]
    if version > 2:
        parts += [_with_real_part(object_quaternion), _with_real_part(goal_quaternion)]
    return np.concatenate(parts, axis=-1).astype(np.float32)


def _with_real_part(quaternion: Array) -> Array:
    """The one of the two quaternions of a rotation whose real part is not negative, (..., 4)."""
    return np.where(quaternion[..., :1] < 0, -quaternion, quaternion)
