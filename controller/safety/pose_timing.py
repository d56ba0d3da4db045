"""How often new poses come, and how old a pose may be before a running hand pauses."""

import statistics
from collections import deque

from inhand.perception.records import ObjectPose

LAST = 15
"""Number of new poses from which it is known how old a pose becomes: a second of fast cameras."""

OVERDUE = 1.5
"""A pose is old when it is this many times as old as poses become."""

LONGEST = 2.0
"""The limit is at most this many times `predict`, however slow the cameras are."""

_INSTANT = 1e-6
"""Less than the time between any two frames [s]."""


class PoseTiming:
    """Times between poses, and the limit of their age: `predict`, or more with slow cameras.

    With three pictures a second, each 0.15 s late, a pose is 0.45 s old when the next one comes. A
    fixed limit of 0.3 s stops such a hand half of the time, although nothing is wrong. The limit
    follows the median of the ages that the last poses reached, so that single gaps, in which the
    object is hidden, do not change it.

    Args:
        predict: the limit with cameras that are fast enough [s].

    Attributes:
        limit: the present one [s].
        interval: median time between the captures of the last poses [s]; 0 before it is known.
    """

    def __init__(self, predict: float) -> None:
        self.limit, self.interval = predict, 0.0
        self._predict = predict
        self._measured: float | None = None
        self._reached: deque[float] = deque(maxlen=LAST)
        self._intervals: deque[float] = deque(maxlen=LAST)

    def note(self, t: float, pose: ObjectPose | None) -> None:
        """Takes the pose at `t` [s], in order of time."""
        if pose is None:
            return
        measured, before = t - pose.age, self._measured
        if before is not None and measured <= before + _INSTANT:
            return
        self._measured = measured
        if before is None:
            return
        self._intervals.append(measured - before)
        self.interval = statistics.median(self._intervals)
        self._reached.append(t - before)
        usual = statistics.median(self._reached)
        self.limit = min(max(self._predict, OVERDUE * usual), LONGEST * self._predict)
