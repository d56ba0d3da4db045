"""States of hand and object with which episodes begin."""

import numpy as np
from numpy.typing import NDArray

from inhand.hardware.records import Array

NEAR = 16
"""Number of states with the nearest sizes of the object, among which one is drawn."""


class StartStates:
    """Positions and velocities of hand and object, sorted by the object's size.

    Args:
        share: of the episodes that begin with one of the states.
        sizes: of the object, as factors of the nominal one, (k,).
        positions: generalized positions of the model, (k, nq).
        velocities: generalized velocities, (k, nv).
    """

    def __init__(self, share: float, sizes: Array, positions: Array, velocities: Array) -> None:
        order = np.argsort(sizes)
        self._share = share
        self._sizes = sizes[order]
        self._positions, self._velocities = positions[order], velocities[order]

    def place(
        self,
        ids: NDArray[np.int64],
        sizes: Array,
        positions: Array,
        velocities: Array,
        rng: np.random.Generator,
    ) -> None:
        """Puts hand and object of a share of these worlds at a start.

        An object laid in place of another one of a different size would touch the hand no more, or
        be inside it: the start is of nearly the same size.

        Args:
            ids: the worlds, (k,).
            sizes: of their objects, (k,).
            positions: of all worlds, (worlds, nq); changed in place.
            velocities: of all worlds, (worlds, nv); changed in place.
            rng: source of randomness.
        """
        begins = rng.random(len(ids)) < self._share
        ids, sizes = ids[begins], sizes[begins]
        near = min(NEAR, len(self._sizes))
        first = np.searchsorted(self._sizes, sizes) - near // 2
        first = np.clip(first, 0, len(self._sizes) - near)
        chosen = first + rng.integers(near, size=len(ids))
        positions[ids], velocities[ids] = self._positions[chosen], self._velocities[chosen]
