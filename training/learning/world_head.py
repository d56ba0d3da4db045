"""Auxiliary head: properties of the world, estimated from the memory; labels and Gaussian loss.

The head's targets are the strengths of axes (`inhand.training.mujoco_worlds.draws`) and the error
of the estimated rotation. Without them nothing but the actions asks the memory to find out which
world it is in.
"""

import numpy as np
import torch
from torch import Tensor

from inhand.hardware.records import Array
from inhand.perception import rotations
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


def world_labels(worlds: BatchOfWorlds, believed: Array) -> Tensor:
    """The true values of what the head estimates, (worlds, len(WORLD)).

    Args:
        worlds: the worlds.
        believed: estimated orientations, world from object, (worlds, 4) wxyz.
    """
    true = rotations.normalize(worlds.object_quaternion)
    error = rotations.log(rotations.multiply(true, rotations.conjugate(believed)))
    strengths = worlds.strengths[:, _COLUMNS]
    labels = np.concatenate([strengths, error / ROTATION_UNIT], -1, dtype=np.float32)
    return torch.as_tensor(labels)


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
