"""Rotation matrices about axes and of roll, pitch and yaw."""

from math import atan2, hypot

import numpy as np

from inhand.hardware.records import Array

Angles = tuple[float, float, float]


def axis_angle_matrix(axis: Array, angle: Array) -> Array:
    """Rotation matrices about one unit axis (Rodrigues).

    Args:
        axis: unit vector, (3,).
        angle: [rad], (...).

    Returns:
        (..., 3, 3).
    """
    x, y, z = axis
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    outer = np.outer(axis, axis)
    cosine = np.cos(angle)[..., None, None]
    sine = np.sin(angle)[..., None, None]
    matrix: Array = outer + cosine * (np.eye(3) - outer) + sine * cross
    return matrix


def rpy_matrix(rpy: Angles) -> Array:
    """Rotation matrix of URDF roll, pitch, yaw [rad] about fixed axes x, y, z; (3, 3)."""
    roll, pitch, yaw = (
        axis_angle_matrix(axis, np.array(angle)) for axis, angle in zip(np.eye(3), rpy, strict=True)
    )
    return yaw @ pitch @ roll


def matrix_rpy(matrix: Array) -> Angles:
    """Roll, pitch and yaw [rad] of a rotation matrix, (3, 3): the inverse of `rpy_matrix`."""
    flat = hypot(matrix[0, 0], matrix[1, 0])
    pitch = atan2(-matrix[2, 0], flat)
    if flat < 1e-9:
        # Roll and yaw turn about the same axis: roll takes all of it.
        return atan2(-matrix[1, 2], matrix[1, 1]), pitch, 0.0
    return (
        atan2(matrix[2, 1], matrix[2, 2]),
        pitch,
        atan2(matrix[1, 0], matrix[0, 0]),
    )
