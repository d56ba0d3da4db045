"""A random network that takes a share of the actions: disturbances that no other axis covers.

OpenAI, arXiv:1910.07113, appendix B.3: random networks disturb better than trained ones. As in
DeXtreme (arXiv:2210.13702) all worlds share one network, of which each world leaves out other
units, and its weights are drawn anew from time to time.
"""

import numpy as np

from inhand.hardware.model.hand import Hand
from inhand.hardware.records import Array

UNITS = 64
KEPT = 0.5
"""Probability that a world uses a unit."""
STEPS = 1000
"""Policy steps after which the weights are drawn anew."""


class Adversary:
    """The network and its counters.

    Args:
        hand: whose actions are disturbed.
        size: number of worlds.
        seed: of the weights.
    """

    def __init__(self, hand: Hand, size: int, seed: int) -> None:
        self._hand, self._size = hand, size
        self._rng = np.random.default_rng([seed, 1])
        self._steps = 0

    def disturb(self, actions: Array, share: Array, state: Array) -> Array:
        """The actions, of which the network takes a share.

        Args:
            actions: in [-1, 1], (size, n_actuators).
            share: of the network in each world, (size,).
            state: generalized positions, which are its inputs, (size, n).
        """
        if not share.any():
            return actions
        if self._steps % STEPS == 0:
            inputs, actuators = state.shape[1], self._hand.n_actuators
            self._first = self._rng.standard_normal((inputs, UNITS))
            self._last = self._rng.standard_normal((UNITS, actuators)) / np.sqrt(UNITS * KEPT)
            self._used = self._rng.random((self._size, UNITS)) < KEPT
        self._steps += 1
        hidden = np.maximum(state @ self._first, 0.0) * self._used
        # Only the direction of its answer matters: every component is -1 or 1 at most.
        wild = np.tanh(hidden @ self._last)
        mixed: Array = (1.0 - share[:, None]) * np.clip(actions, -1.0, 1.0) + share[:, None] * wild
        return mixed
