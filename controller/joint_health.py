"""Whether what the servos report can be true: finite, possible, and moving when it should."""

import numpy as np

from hardware.hand import Hand
from hardware.records import Array, JointState

FASTEST = 20.0
"""No joint moves faster [rad/s]: the largest seen in contact is 7.4, a servo runs free at 9."""
SLACK = 0.05
"""What a reading may be off besides [rad]."""
OUTSIDE = 0.5
"""How far beyond its range a joint may be read [rad], as offsets of encoders make it."""

STUCK_AFTER = 0.5
STUCK_TRAVEL = 0.5
"""An encoder is stuck if it repeats itself to the last digit for so long [s] while its target has
travelled so far [rad]. In 78 s of a policy turning a block against gravity and contact, none of 20
joints repeated itself at all while its target travelled more than 0.3 rad."""


class JointHealth:
    """Judges readings, one after another.

    Args:
        hand: whose joints they are.
    """

    def __init__(self, hand: Hand) -> None:
        self._names = hand.actuator_names
        self._lower, self._upper = hand.lower - OUTSIDE, hand.upper + OUTSIDE
        self._last: JointState | None = None
        self._since = np.zeros(hand.n_actuators)
        self._least = np.full(hand.n_actuators, np.inf)
        self._most = np.full(hand.n_actuators, -np.inf)

    def flaw(self, joints: JointState) -> str:
        """Why a reading cannot be true; empty if it can, and then it counts."""
        position = joints.position
        if not np.isfinite(position).all():
            return f"{self._first(~np.isfinite(position))} reads as no number"
        beyond = (position < self._lower) | (position > self._upper)
        if beyond.any():
            return f"{self._first(beyond)} reads as far outside its range"
        last, moved = self._last, np.ones(len(position), dtype=np.bool_)
        if last is not None:
            # The longer ago, the further it may have come: a wrong reading locks nothing out.
            possible = SLACK + FASTEST * max(joints.t - last.t, 0.0)
            leapt = np.abs(position - last.position) > possible
            if leapt.any():
                return f"{self._first(leapt)} moved impossibly fast"
            moved = position != last.position
        self._note(moved, joints.t)
        self._last = joints
        return ""

    def stuck(self, targets: Array | None, t: float) -> str:
        """Which servo's encoder is stuck at `t` [s]; empty if none is.

        Args:
            targets: what the servos follow [rad], (n_actuators,); None if they follow nothing.
            t: the present [s].
        """
        if targets is None:
            self._note(np.ones(len(self._since), dtype=np.bool_), t)
            return ""
        self._least = np.minimum(self._least, targets)
        self._most = np.maximum(self._most, targets)
        travelled = self._most - self._least > STUCK_TRAVEL
        found = travelled & (t - self._since > STUCK_AFTER)
        return f"{self._first(found)} does not move though its target does" if found.any() else ""

    def _note(self, moved: "np.ndarray[tuple[int], np.dtype[np.bool_]]", t: float) -> None:
        self._since[moved] = t
        self._least[moved], self._most[moved] = np.inf, -np.inf

    def _first(self, which: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> str:
        return self._names[int(np.argmax(which))]
