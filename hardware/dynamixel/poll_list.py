"""Who is asked in a tick: a servo that fell silent is not waited for together with the others."""

import numpy as np
from numpy.typing import NDArray

from inhand.hardware.dynamixel.replies import Mask

EAGER = 5
"""Reads in which a servo that fell silent is asked each time: it may have missed one request."""
PAUSE = 10
"""From then on it is asked once in so many reads."""


class Roll:
    """The servos that are asked together, and the silent ones, which are asked apart.

    Args:
        ids: of all servos.

    Attributes:
        asked: servos to ask together.
        places: where they stand among all, (n,).
    """

    def __init__(self, ids: tuple[int, ...]) -> None:
        self._ids = ids
        self._missed: NDArray[np.intp] = np.zeros(len(ids), np.intp)
        self._reads = 0
        self._sort()

    def reset(self) -> None:
        """Takes all as present, as nothing is known."""
        self._missed[:] = 0
        self._sort()

    @property
    def silent(self) -> tuple[int, ...]:
        """Servos that did not answer when they were asked last."""
        return tuple(id for id, n in zip(self._ids, self._missed.tolist(), strict=True) if n)

    def apart(self) -> tuple[int, ...]:
        """Silent servos to ask in this read, after the others; another one first each time."""
        if len(self.asked) == len(self._ids):
            return ()
        self._reads += 1
        rested = not self._reads % PAUSE
        missed = zip(self._ids, self._missed.tolist(), strict=True)
        turn = [id for id, n in missed if 0 < n <= EAGER or (n and rested)]
        first = self._reads % max(1, len(turn))
        return tuple(turn[first:] + turn[:first])

    def note(self, asked: Mask, came: Mask) -> None:
        """Takes who was asked, and who answered, each (n,)."""
        missed = np.where(came, 0, self._missed + asked)
        changed = (missed > 0) != (self._missed > 0)
        self._missed = missed
        if changed.any():
            self._sort()

    def _sort(self) -> None:
        self.places = np.flatnonzero(self._missed == 0)
        all_there = len(self.places) == len(self._ids)
        self.asked = self._ids if all_there else tuple(self._ids[i] for i in self.places)
