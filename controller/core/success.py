"""Rule of success: frames decide whether a goal is reached, at the times of their capture.

A pose that is only predicted confirms nothing, and the age of a frame takes nothing away: while it
was on its way, the error in it has not changed.
"""

from dataclasses import dataclass

import numpy as np

from inhand.perception.records import ConfirmedPose

LONGEST_GAP = 0.2
"""Longest time between two frames of a hold time [s]: in a longer one, an object can leave the
tolerance and return unseen."""

HELD_DEVIATIONS = 2.0
"""Standard deviations that are added to the error in a hold time, one without: the object must
also be within tolerance between the frames (MuJoCo, 0.2 rad, 0.25 s: with one, 3 of 62 were not in
all ticks; with two, 0 of 81)."""


@dataclass(frozen=True, slots=True)
class Held:
    """A sequence of frames, each within tolerance, without a gap.

    Attributes:
        since: capture time of its first frame [s]; None if there is none.
        captured: capture time of its last frame [s].
    """

    since: float | None = None
    captured: float | None = None

    def after(self, t: float, within: bool) -> "Held":
        """The sequence after one more frame.

        Frames that arrive late may be older than the last one. If one of them is not within
        tolerance, the frames after it must be given again.

        Args:
            t: capture time of the frame [s].
            within: whether it shows the object within tolerance.
        """
        if not within:
            return Held()
        if self.since is None or self.captured is None or t - self.captured > LONGEST_GAP:
            return Held(t, t)
        return Held(self.since, max(t, self.captured))

    def lasts(self, hold: float) -> bool:
        """Whether the sequence is as long as the hold time [s]."""
        # The rounding error of times is below a microsecond.
        return (
            self.since is not None
            and self.captured is not None
            and self.captured - self.since >= hold - 1e-6
        )


def within(error: float, frame: ConfirmedPose, tolerance: float, hold: float) -> bool:
    """Whether a frame shows the object within tolerance.

    Args:
        error: in the frame [rad].
        frame: the estimate at its capture.
        tolerance: [rad].
        hold: the hold time [s]; with one, the margin is larger.
    """
    deviation = float(np.sqrt(np.linalg.eigvalsh(frame.covariance[3:6, 3:6])[-1]))
    margin = deviation * (HELD_DEVIATIONS if hold else 1.0)
    # A rotation angle is at most pi.
    return min(error + margin, np.pi) <= tolerance
