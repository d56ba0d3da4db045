"""Poll list: the servos of a tick's sync read; silent servos are polled separately."""

import numpy as np
from numpy.typing import NDArray

from inhand.hardware.dynamixel.replies import Mask

EAGER = 5
"""Number of reads in which a servo that became silent is polled each time."""
PAUSE = 10
"""After that, a silent servo is polled in one of this number of reads."""


class PollList:
    """Divides the servos: those that answer are polled together, silent ones separately.

    Args:
        ids: of all servos.

    Attributes:
        asked: servos to poll together.
        places: indices of these servos among all servos, (n,).
    """

    def __init__(self, ids: tuple[int, ...]) -> None:
        self._ids = ids
        self._missed: NDArray[np.intp] = np.zeros(len(ids), np.intp)
        self._reads = 0
        self._sort()

    def reset(self) -> None:
        """Starts again: all servos are polled together."""
        self._missed[:] = 0
        self._sort()

    @property
    def silent(self) -> tuple[int, ...]:
        """Servos that did not answer the last time they were polled."""
        return tuple(id for id, n in zip(self._ids, self._missed.tolist(), strict=True) if n)

    def apart(self) -> tuple[int, ...]:
        """Silent servos to poll in this read, after the others; the first one changes each time."""
        if len(self.asked) == len(self._ids):
            return ()
        self._reads += 1
        rested = not self._reads % PAUSE
        missed = zip(self._ids, self._missed.tolist(), strict=True)
        turn = [id for id, n in missed if 0 < n <= EAGER or (n and rested)]
        first = self._reads % max(1, len(turn))
        return tuple(turn[first:] + turn[:first])

    def note(self, asked: Mask, came: Mask) -> None:
        """Records which servos were asked, and which answered, each (n,)."""
        missed = np.where(came, 0, self._missed + asked)
        changed = (missed > 0) != (self._missed > 0)
        self._missed = missed
        if changed.any():
            self._sort()

    def _sort(self) -> None:
        self.places = np.flatnonzero(self._missed == 0)
        all_there = len(self.places) == len(self._ids)
        self.asked = self._ids if all_there else tuple(self._ids[i] for i in self.places)
