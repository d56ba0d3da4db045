"""Auxiliary head: properties of the world, estimated from the memory; labels and Gaussian loss.

The head's targets are the strengths of axes (`inhand.training.mujoco_worlds.draws`) and the error
of the estimated rotation. Without them nothing but the actions asks the memory to find out which
world it is in.
"""

from typing import Any

import torch
from torch import Tensor

from inhand.hardware.records import Array
from inhand.perception import rotations
from inhand.training.mujoco_worlds import tensor_rotations
from inhand.training.mujoco_worlds.batch_of_worlds import BatchOfWorlds
from inhand.training.mujoco_worlds.draws import NAMES

STRENGTHS = (
    "object_size",
    "object_mass",
    "friction",
    "contact_softness",
    "actuator_gain",
    "torque_limit",
    "joint_damping",
    "joint_friction",
    "backlash",
    "compliance",
    "action_latency",
    "pose_latency",
    "pose_interval",
)
"""Axes whose strength is estimated."""

ROTATION_UNIT = 0.2
"""Unit of the estimated error of rotation [rad]."""

WORLD = (*STRENGTHS, "rotation_error_x", "rotation_error_y", "rotation_error_z")
"""Names of the estimates, in order."""

_COLUMNS = [NAMES.index(name) for name in STRENGTHS]


def world_labels(worlds: BatchOfWorlds, believed: Array | Tensor) -> Tensor:
    """The true values of what the head estimates, (worlds, len(WORLD)), where the worlds are.

    Args:
        worlds: the worlds.
        believed: estimated orientations, world from object, (worlds, 4) wxyz; arrays or tensors as
            in the worlds.
    """
    turning: Any = tensor_rotations if isinstance(believed, Tensor) else rotations
    true = turning.normalize(worlds.object_quaternion)
    error = turning.log(turning.multiply(true, turning.conjugate(believed)))
    parts = worlds.strengths[:, _COLUMNS], error / ROTATION_UNIT
    return torch.cat([torch.as_tensor(part, dtype=torch.float32) for part in parts], -1)


def world_loss(estimate: Tensor, labels: Tensor) -> Tensor:
    """Mean negative log likelihood of a Gaussian, without its constant.

    Args:
        estimate: means and logarithms of standard deviations, (..., 2 len(WORLD)).
        labels: true values, (..., len(WORLD)).
    """
    mean, log_deviation = estimate.float().chunk(2, -1)
    # A deviation that falls without bound would let single worlds dominate the loss.
    log_deviation = log_deviation.clamp(-4.0, 2.0)
    error = (labels - mean) * torch.exp(-log_deviation)
    return (0.5 * error.square() + log_deviation).mean()
