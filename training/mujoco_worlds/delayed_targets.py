"""Targets on their way to the servos of a batch of worlds."""

import numpy as np
from numpy.typing import NDArray

from inhand.hardware.records import Array


class DelayedTargets:
    """A ring buffer of sent targets.

    Args:
        rest: targets of a world that was reset [rad], (n_actuators,).
        size: number of worlds.
        longest: longest delay [ticks].
    """

    def __init__(self, rest: Array, size: int, longest: int) -> None:
        self._rest = rest
        self._sent = np.tile(rest, (longest + 1, size, 1))
        self._newest = 0
        self._worlds = np.arange(size)[:, None], np.arange(len(rest))[None]

    def reset(self, ids: NDArray[np.int64]) -> None:
        """Lets these worlds begin at their rest pose."""
        self._sent[:, ids] = self._rest

    def send(self, targets: Array) -> None:
        """Adds the targets of a tick [rad], (size, n_actuators)."""
        self._newest = (self._newest + 1) % len(self._sent)
        self._sent[self._newest] = targets

    def arrived(self, delay: NDArray[np.int64]) -> Array:
        """Targets that have reached the servos [rad], (size, n_actuators).

        Args:
            delay: of each servo [ticks], (size, n_actuators).
        """
        worlds, actuators = self._worlds
        targets: Array = self._sent[(self._newest - delay) % len(self._sent), worlds, actuators]
        return targets
