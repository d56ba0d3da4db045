"""Correlated action noise for stalled goals.

A deterministic policy can stay in a grasp in which nothing moves, so that its observation does not
change either. Noise on its actions ends this. It is the exploration noise of the teacher: it is
correlated in time, as servos hardly follow white noise (docs/training.md).
"""

import numpy as np

from inhand.hardware.records import Array

PERSISTENCE = 0.6
"""Correlation of the noise between two policy steps."""


class ExplorationNoise:
    """Noise on the actions of goals that take long.

    Args:
        n_actuators: length of an action.
        after: how long a goal may take undisturbed [s].
        deviation: standard deviation of the noise, in units of the action; 0 for none.
    """

    def __init__(self, n_actuators: int, after: float, deviation: float) -> None:
        self._after, self._deviation = after, deviation
        self._rng = np.random.default_rng(0)
        self._noise = np.zeros(n_actuators)

    def apply(self, action: Array, waited: float) -> Array:
        """The action to take, (n_actuators,) in [-1, 1], when a goal has taken `waited` seconds."""
        if waited < self._after:
            return action
        fresh = np.sqrt(1.0 - PERSISTENCE**2) * self._rng.standard_normal(len(self._noise))
        self._noise = PERSISTENCE * self._noise + fresh
        disturbed: Array = np.clip(action + self._deviation * self._noise, -1.0, 1.0)
        return disturbed
