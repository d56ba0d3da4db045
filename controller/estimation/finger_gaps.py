"""Gaps between the fingers of a hand in given poses."""

from functools import cached_property
from itertools import combinations, product
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from inhand.hardware.model.hand import Hand
from inhand.hardware.model.hand_description import Shape
from inhand.hardware.model.kinematics import link_poses
from inhand.hardware.model.turning import rpy_matrix
from inhand.hardware.records import Array

LOWEST = 0.9
"""Between its spheres, a shape has at least this share of its thickness."""
SWOLLEN = 0.0025
"""Spheres reach out of a thin box by this [m], or to its edges if that is more: fewer cover it."""


class FingerGaps:
    """Computes the smallest gap between links of different collision groups.

    Shapes are covered by few spheres, as a slow move is planned within a tick. The gap of a capsule
    may be overestimated by a tenth of its radius. The spheres of a box reach its edges: with half
    its thickness t, its gap is up to 0.41 t too small at the faces, and 0.32 t too large at the
    corners.

    Args:
        hand: shapes and groups.
    """

    def __init__(self, hand: Hand) -> None:
        self._hand = hand

    @cached_property
    def _groups(self) -> list[tuple[Array, Array, NDArray[np.intp]]]:
        """Spheres of each group: centres, link frame [m], (n, 3); radii [m], (n,); links, (n,)."""
        names = self._hand.link_names
        groups = []
        for group in self._hand.collision_groups.values():
            # The root, which never moves, is no link.
            links = [names.index(name) for name in group if name in names]
            parts = [(k, *cover(shape)) for k in links for shape in self._hand.links[k].shapes]
            if parts:
                groups.append(
                    (
                        np.concatenate([centers for _, centers, _ in parts]),
                        np.concatenate([np.full(len(at), radius) for _, at, radius in parts]),
                        np.concatenate([np.full(len(at), k) for k, at, _ in parts]),
                    )
                )
        return groups

    def smallest(self, poses: Array) -> Array:
        """The smallest gap in each pose [m], (n,); negative where links are in one another.

        Args:
            poses: of the actuators [rad], (n, n_actuators).
        """
        turns, origins = link_poses(self._hand, self._hand.joint_angles(poses))
        placed = [
            (np.einsum("plij,lj->pli", turns[:, links], centers) + origins[:, links], radii)
            for centers, radii, links in self._groups
        ]
        gaps = np.full(len(poses), np.inf)
        for (one, thick), (two, other) in combinations(placed, 2):
            # |a - b|² = |a|² + |b|² - 2 a·b: one product of matrices for all pairs.
            left = np.concatenate([-2.0 * one, _square(one), np.ones_like(one[..., :1])], axis=-1)
            right = np.concatenate([two, np.ones_like(two[..., :1]), _square(two)], axis=-1)
            apart = left @ right.transpose(0, 2, 1)
            # Rounding may leave a square below zero.
            np.sqrt(np.maximum(apart, 0.0, out=apart), out=apart)
            apart -= thick[:, None] + other
            gaps = np.minimum(gaps, apart.min(axis=(1, 2)))
        return gaps


def _square(points: Array) -> Array:
    squares: Array = (points**2).sum(axis=-1, keepdims=True)
    return squares


def cover(shape: Shape) -> tuple[Array, float]:
    """Spheres that cover a shape but for the corners of a box.

    The pose filter, which looks at one pose at a time, has a finer one: `hand_motion.surface`.

    Returns:
        centers: frame of the link [m], (n, 3).
        radius: of all of them [m].
    """
    size = np.array(shape.size)
    thin = float(size.min() if shape.kind == "box" else size[0])
    radius = thin
    half = np.zeros(3)
    if shape.kind == "box":
        radius = max(sqrt(2.0) * thin, min(0.65 * float(np.median(size)), thin + SWOLLEN))
        half = np.maximum(size - radius / sqrt(2.0), 0.0)
    elif shape.kind != "sphere":
        half[2] = max(size[1] - radius, 0.0) if shape.kind == "cylinder" else size[1]
    # The middle of a mesh of the grid is half its diagonal from four spheres.
    diagonal = 2.0 * sqrt(radius**2 - (LOWEST * thin) ** 2)
    spacing = diagonal / sqrt(max(1, int(np.count_nonzero(half))))
    counts = 1 + np.ceil(2.0 * half / spacing - 1e-9).astype(int)
    rows = [np.linspace(-end, end, count) for end, count in zip(half, counts, strict=True)]
    centers = np.array(list(product(*rows)))
    return centers @ rpy_matrix(shape.rpy).T + np.array(shape.position), radius
