"""Gaps between the fingers of a hand in given poses."""

from functools import cached_property
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from inhand.controller.estimation.hand_motion import surface
from inhand.hardware.model.hand import Hand
from inhand.hardware.model.kinematics import link_poses
from inhand.hardware.records import Array


class FingerGaps:
    """Computes the smallest gap between links of different collision groups.

    Each capsule is approximated by spheres along its axis, so a gap may be overestimated by up to
    1 mm.

    Args:
        hand: shapes and groups.
    """

    def __init__(self, hand: Hand) -> None:
        self._hand = hand

    @cached_property
    def _spheres(self) -> tuple[Array, Array, NDArray[np.intp]]:
        return surface(self._hand)

    @cached_property
    def _groups(self) -> list[NDArray[np.intp]]:
        """Indices of the spheres of each group; the root has none."""
        links, names = self._spheres[2], self._hand.link_names
        return [
            np.flatnonzero(np.isin(links, [names.index(name) for name in group if name in names]))
            for group in self._hand.collision_groups.values()
        ]

    def smallest(self, poses: Array) -> Array:
        """The smallest gap in each pose [m], (n,); negative where links are in one another.

        Args:
            poses: of the actuators [rad], (n, n_actuators).
        """
        points, radii, links = self._spheres
        turns, origins = link_poses(self._hand, self._hand.joint_angles(poses))
        places = np.einsum("plij,lj->pli", turns[:, links], points) + origins[:, links]
        gaps = np.full(len(poses), np.inf)
        for one, two in combinations(self._groups, 2):
            apart = np.linalg.norm(places[:, one, None] - places[:, None, two], axis=-1)
            apart -= radii[one, None] + radii[two]
            gaps = np.minimum(gaps, apart.reshape(len(poses), -1).min(axis=1, initial=np.inf))
        return gaps
