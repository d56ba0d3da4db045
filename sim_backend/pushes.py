"""Random forces on the object, the same for all engines."""

import numpy as np

from inhand.hardware.model.universe import Universe
from inhand.hardware.records import Array

PUSH_TIME = 0.05
"""Duration of a push: one step of the policy [s]."""


class Pushes:
    """Draws a force for each interval of `PUSH_TIME`; most are zero.

    Args:
        universe: its `push_rate` and `push_acceleration` are used.
        mass: nominal mass of the object [kg]. A push is a force: it accelerates a heavier object
            less.
        rng: source of randomness.
    """

    def __init__(self, universe: Universe, mass: float, rng: np.random.Generator) -> None:
        self._probability = universe.push_rate * PUSH_TIME
        self._sigma = universe.push_acceleration * mass
        self._rng = rng
        self._span = -1
        self._force = np.zeros(3)

    def force(self, time: float) -> Array:
        """Force on the object's centre of mass at this time [N], world frame, (3,)."""
        span = int(time / PUSH_TIME + 1e-6)
        if span != self._span:
            self._span = span
            pushed = self._rng.random() < self._probability
            self._force = self._sigma * self._rng.standard_normal(3) if pushed else np.zeros(3)
        return self._force
