"""Smallest gap between the fingers in a pose."""

from itertools import combinations

import numpy as np

from inhand.controller.estimation.hand_motion import surface
from inhand.hardware.model.hand import Hand
from inhand.hardware.model.kinematics import link_poses
from inhand.hardware.records import Array


def clearance(hand: Hand, poses: Array) -> Array:
    """The smallest gap between links of different collision groups [m], (n,).

    Each capsule is approximated by spheres along its axis, so a gap may be overestimated by up to
    1 mm.

    Args:
        hand: shapes and groups.
        poses: of the actuators [rad], (n, n_actuators).
    """
    points, radii, links = surface(hand)
    turns, origins = link_poses(hand, hand.joint_angles(poses))
    places = np.einsum("plij,lj->pli", turns[:, links], points) + origins[:, links]
    groups = [
        # The root never moves, and is no link with a joint.
        np.flatnonzero(
            np.isin(links, [hand.link_names.index(name) for name in names if name != hand.root])
        )
        for names in hand.collision_groups.values()
    ]
    gaps = np.full(len(poses), np.inf)
    for one, two in combinations(groups, 2):
        apart = np.linalg.norm(places[:, one, None] - places[:, None, two], axis=-1)
        apart -= radii[one, None] + radii[two]
        gaps = np.minimum(gaps, apart.reshape(len(poses), -1).min(axis=1, initial=np.inf))
    return gaps
