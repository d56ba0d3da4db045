"""Forward kinematics of the hand, batched over leading axes, numpy only."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

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
    angles = np.asarray(joint_angles, dtype=np.float64)[..., None, None]
    # Rodrigues: R(q) = K0 + cos q · K1 + sin q · K2, of all joints at once, as 4x4 transforms.
    constant, cosine, sine = chain(hand)
    poses: Array = constant + np.cos(angles) * cosine + np.sin(angles) * sine
    # All links of one depth at once: a call of numpy costs more than the arithmetic of a finger.
    for links, parents in levels(hand):
        poses[..., links, :, :] = poses.take(parents, axis=-3) @ poses.take(links, axis=-3)
    return poses[..., :3, :3], poses[..., :3, 3]


@cache
def levels(hand: Hand) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Links with a parent, by their number of links to the base, and the parent of each."""
    depths: list[int] = []
    for parent in hand.parents:
        depths.append(0 if parent < 0 else depths[parent] + 1)
    by_depth = (np.flatnonzero(np.array(depths) == k) for k in range(1, max(depths) + 1))
    return [(links, np.array(hand.parents)[links]) for links in by_depth]


@cache
def chain(hand: Hand) -> tuple[Array, Array, Array]:
    """The terms of each link's transform to its parent, (n_links, 4, 4) each."""
    constant, cosine, sine = (np.zeros((hand.n_joints, 4, 4)) for _ in range(3))
    for i, link in enumerate(hand.links):
        fixed = rpy_matrix(link.rpy)
        x, y, z = axis = np.array(link.axis) / np.linalg.norm(link.axis)
        outer = np.outer(axis, axis)
        constant[i, :3, :3] = fixed @ outer
        constant[i, :3, 3], constant[i, 3, 3] = link.origin, 1.0
        cosine[i, :3, :3] = fixed @ (np.eye(3) - outer)
        sine[i, :3, :3] = fixed @ np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return constant, cosine, sine


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
