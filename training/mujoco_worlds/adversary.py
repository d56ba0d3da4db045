"""A random network that takes a share of the actions: disturbances that no other axis covers.

OpenAI, arXiv:1910.07113, appendix B.3: random networks disturb better than trained ones. As in
DeXtreme (arXiv:2210.13702) all worlds share one network, of which each world leaves out other
units, and its weights are drawn anew from time to time.
"""

from typing import Any

import numpy as np
from array_api_compat import array_namespace, device
from numpy.typing import NDArray

from inhand.hardware.model.hand import Hand
from inhand.training.mujoco_worlds.rewards import Values

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

    def disturb(self, actions: Values, share: Values, state: Values) -> Values:
        """The actions, of which the network takes a share.

        Args:
            actions: in [-1, 1], (size, n_actuators).
            share: of the network in each world, (size,).
            state: generalized positions, which are its inputs, (size, n).
        """
        if not share.any():
            return actions
        xp = array_namespace(state)

        def there(drawn: NDArray[Any]) -> Values:
            kind = state.dtype if drawn.dtype.kind == "f" else None
            return xp.asarray(drawn, dtype=kind, device=device(state))

        if self._steps % STEPS == 0:
            inputs, actuators = state.shape[1], self._hand.n_actuators
            self._first = there(self._rng.standard_normal((inputs, UNITS)))
            last = self._rng.standard_normal((UNITS, actuators))
            self._last = there(last / np.sqrt(UNITS * KEPT))
            self._used = there(self._rng.random((self._size, UNITS)) < KEPT)
        self._steps += 1
        hidden = xp.clip(state @ self._first, 0.0, None) * self._used
        # Only the direction of its answer matters: every component is -1 or 1 at most.
        wild = xp.tanh(hidden @ self._last)
        bounded = xp.clip(actions, -1.0, 1.0)
        mixed: Values = (1.0 - share[:, None]) * bounded + share[:, None] * wild
        return mixed
