"""Forward kinematics of the hand, batched over leading axes, numpy only."""

from functools import cache

import numpy as np

from inhand.hardware.model.hand import Hand
from inhand.hardware.model.turning import rpy_matrix
from inhand.hardware.records import Array


def link_poses(hand: Hand, joint_angles: Array) -> tuple[Array, Array]:
    """Poses of all links.

    Args:
        hand: the hand.
        joint_angles: [rad], (..., n_joints), joint order.

    Returns:
        rotations: world from link, (..., n_links, 3, 3).
        positions: link origins, world frame [m], (..., n_links, 3).
    """
    angles = np.asarray(joint_angles, dtype=np.float64)
    rotations = np.empty((*angles.shape[:-1], hand.n_joints, 3, 3))
    positions = np.empty((*angles.shape[:-1], hand.n_joints, 3))
    # Rodrigues: R(q) = K0 + cos q · K1 + sin q · K2, of all joints at once.
    origins, constant, cosine, sine = _chain(hand)
    local = (
        constant + np.cos(angles)[..., None, None] * cosine + np.sin(angles)[..., None, None] * sine
    )
    for i, parent in enumerate(hand.parents):
        if parent < 0:
            rotations[..., i, :, :] = local[..., i, :, :]
            positions[..., i, :] = origins[i]
        else:
            above = rotations[..., parent, :, :]
            rotations[..., i, :, :] = above @ local[..., i, :, :]
            positions[..., i, :] = positions[..., parent, :] + above @ origins[i]
    return rotations, positions


@cache
def _chain(hand: Hand) -> tuple[Array, Array, Array, Array]:
    """Origins, and the terms of each link's local rotation."""
    constant, cosine, sine = (np.empty((hand.n_joints, 3, 3)) for _ in range(3))
    for i, link in enumerate(hand.links):
        fixed = rpy_matrix(link.rpy)
        x, y, z = axis = np.array(link.axis) / np.linalg.norm(link.axis)
        outer = np.outer(axis, axis)
        constant[i] = fixed @ outer
        cosine[i] = fixed @ (np.eye(3) - outer)
        sine[i] = fixed @ np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.array([link.origin for link in hand.links]), constant, cosine, sine


def fingertip_positions(hand: Hand, actuator_angles: Array) -> Array:
    """Fingertips, as the encoders imply them.

    Args:
        hand: the hand.
        actuator_angles: [rad], (..., n_actuators), actuator order.

    Returns:
        World frame [m], (..., n_fingertips, 3), in the order of `hand.fingertips`.
    """
    rotations, positions = link_poses(hand, hand.joint_angles(actuator_angles))
    tips = list(hand.fingertips)
    offsets = np.array([hand.links[i].tip for i in tips])
    ends: Array = positions[..., tips, :] + np.einsum(
        "...lij,lj->...li", rotations[..., tips, :, :], offsets
    )
    return ends
