"""Whether what the servos report can be true: finite, possible, and moving when it should."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from inhand.hardware.model.hand import Hand
from inhand.hardware.records import Array, JointState, frozen_array

Mask = NDArray[np.bool_]

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
    """Judges readings, one after another, and keeps what each joint was measured at last.

    Args:
        hand: whose joints they are.

    Attributes:
        heard: when each joint was measured last [s], (n_actuators,); -inf where it never was.
    """

    def __init__(self, hand: Hand) -> None:
        self.heard = np.full(hand.n_actuators, -np.inf)
        self._names = hand.actuator_names
        self._lower, self._upper = hand.lower - OUTSIDE, hand.upper + OUTSIDE
        self._all = np.ones(hand.n_actuators, dtype=np.bool_)
        self._last: JointState | None = None
        self._since = np.zeros(hand.n_actuators)
        self._least = np.full(hand.n_actuators, np.inf)
        self._most = np.full(hand.n_actuators, -np.inf)

    @property
    def joints(self) -> JointState | None:
        """Every joint as it was measured last; None until each one was."""
        return self._last if np.isfinite(self.heard).all() else None

    def flaw(self, joints: JointState) -> str:
        """Why a reading cannot be true; empty if it can, and then it counts.

        A joint that is NaN was not measured: it keeps what it was measured at before.
        """
        position = joints.position
        likely = (position >= self._lower) & (position <= self._upper)
        if not (every := likely.all()):
            silent = np.isnan(position)
            if silent.all() or np.isinf(position).any():
                return f"{self._first(~np.isfinite(position))} reads as no number"
            if (beyond := ~(likely | silent)).any():
                return self._misplaced(beyond, position)
        last, moved = self._last, self._all
        if last is not None:
            # The longer ago, the further it may have come: a wrong reading locks nothing out.
            possible = SLACK + FASTEST * np.maximum(joints.t - self.heard, 0.0)
            leapt = np.abs(position - last.position) > possible
            if leapt.any():
                return f"{self._first(leapt)} moved impossibly fast"
            moved = position != last.position
        self._note(moved, joints.t)
        if every:
            self.heard, self._last = np.full(len(position), joints.t), joints
        else:
            self.heard = np.where(silent, self.heard, joints.t)
            self._last = joints if last is None else _filled(joints, last, silent)
        return ""

    def overdue(self, t: float, limit: float) -> str:
        """Which joints were measured longer ago than `limit` [s] at `t` [s]; empty if none was."""
        age = t - self.heard
        late = age > limit
        if not late.any():
            return ""
        who = "the joints were" if late.all() else f"{self._first(late)} was"
        return f"{who} last read {age.max():.3f} s ago"

    def stuck(self, targets: Array | None, t: float) -> str:
        """Which servo's encoder is stuck at `t` [s]; empty if none is.

        Args:
            targets: what the servos follow [rad], (n_actuators,); None if they follow nothing.
            t: the present [s].
        """
        if targets is None:
            self._note(self._all, t)
            return ""
        self._least = np.minimum(self._least, targets)
        self._most = np.maximum(self._most, targets)
        travelled = self._most - self._least > STUCK_TRAVEL
        if not travelled.any():
            return ""
        found = travelled & (t - self._since > STUCK_AFTER)
        return f"{self._first(found)} does not move though its target does" if found.any() else ""

    def _note(self, moved: Mask, t: float) -> None:
        self._since[moved] = t
        self._least[moved], self._most[moved] = np.inf, -np.inf

    def _misplaced(self, beyond: Mask, position: Array) -> str:
        at = int(np.argmax(beyond))
        low, high = self._lower[at] + OUTSIDE, self._upper[at] - OUTSIDE
        return (
            f"{self._first(beyond)} reads as {position[at]:+.2f} rad, far outside its range, "
            f"{low:.2f} to {high:.2f}: move it there by hand, without torque; if it is there, "
            "inhand calibrate joints finds its zero"
        )

    def _first(self, which: Mask) -> str:
        return self._names[int(np.argmax(which))]


def _filled(joints: JointState, last: JointState, silent: Mask) -> JointState:
    """A reading whose gaps are what was measured before."""
    return replace(
        joints,
        position=frozen_array(np.where(silent, last.position, joints.position)),
        velocity=frozen_array(np.where(silent, last.velocity, joints.velocity)),
        current=frozen_array(np.where(silent, last.current, joints.current)),
    )
