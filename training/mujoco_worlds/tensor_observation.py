"""The observation of `inhand.controller.policy.observation.observe`, for tensors."""

import torch
from torch import Tensor

from inhand.controller.policy.observation import MAX_POSE_AGE
from inhand.training.mujoco_worlds import tensor_rotations as rotations


def attitude(symmetry: Tensor, quaternion: Tensor) -> Tensor:
    """Of all orientations that are equal under a symmetry, the one nearest to identity.

    Args:
        symmetry: the group, (k, 4) wxyz.
        quaternion: orientations, (..., 4) wxyz.
    """
    real = (quaternion @ rotations.conjugate(symmetry).T).abs()
    return rotations.multiply(quaternion, symmetry[real.argmax(-1)])


def observe(
    *,
    symmetry: Tensor,
    center: Tensor,
    joint_position: Tensor,
    sent_target: Tensor,
    fingertips: Tensor,
    object_position: Tensor,
    object_quaternion: Tensor,
    goal_quaternion: Tensor,
    pose_age: Tensor,
    object_angular_velocity: Tensor,
    goal_tolerance: Tensor,
    version: int = 1,
) -> Tensor:
    """Builds the observation.

    Args:
        symmetry: of the object, (k, 4) wxyz.
        center: of the workspace, world frame [m], (3,).
        joint_position: measured servo angles [rad], (size, n_actuators).
        sent_target: targets last sent [rad], (size, n_actuators).
        fingertips: from forward kinematics, world frame [m], (size, n_fingertips, 3).
        object_position: world frame [m], (size, 3).
        object_quaternion: world from object, (size, 4) wxyz.
        goal_quaternion: wanted, world from object, (size, 4) wxyz.
        pose_age: time since the pose was last measured [s], (size,).
        object_angular_velocity: world frame [rad/s], (size, 3).
        goal_tolerance: largest error at which the goal is reached [rad], (size,).
        version: of the layout.

    Returns:
        (size, observation_size), as `observation_layout` says.
    """
    to_go = rotations.multiply(goal_quaternion, rotations.conjugate(object_quaternion))
    vector = rotations.log(to_go)
    angle = vector.square().sum(-1, keepdim=True).sqrt()
    parts = [
        joint_position,
        sent_target,
        (fingertips - object_position[:, None]).flatten(1),
        object_position - center,
        rotations.to_matrix(attitude(symmetry, object_quaternion)).flatten(1),
        rotations.to_matrix(to_go).flatten(1),
        vector / angle.clamp(min=1e-6),
        vector,
        angle,
        pose_age.clamp(max=MAX_POSE_AGE)[:, None],
    ]
    if version > 1:
        parts += [object_angular_velocity, goal_tolerance[:, None]]
    if version > 2:
        parts += [_with_real_part(object_quaternion), _with_real_part(goal_quaternion)]
    return torch.cat(parts, -1).float()


def _with_real_part(quaternion: Tensor) -> Tensor:
    """The one of the two quaternions of a rotation whose real part is not negative, (..., 4)."""
    return torch.where(quaternion[..., :1] < 0, -quaternion, quaternion)
