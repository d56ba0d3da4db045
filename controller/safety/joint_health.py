"""Plausibility of joint readings: finite, within range and speed, and moving with the target."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from inhand.hardware.model.hand import Hand
from inhand.hardware.records import Array, JointState, frozen_array

Mask = NDArray[np.bool_]

FASTEST = 20.0
"""Largest plausible speed [rad/s]: 7.4 was the largest in contact, 9 is a servo's no-load speed."""
SLACK = 0.05
"""Additional tolerance of a reading [rad]."""
OUTSIDE = 0.5
"""How far outside its range a joint may be read, because of encoder offsets [rad]."""

STUCK_AFTER = 0.5
STUCK_TRAVEL = 0.5
"""An encoder is stuck if its reading stays exactly the same for this time [s] while the target
travels this far [rad]. In 78 s of a policy turning a block, against gravity and contact, no reading
of the 20 joints stayed the same while its target travelled more than 0.3 rad."""


class JointHealth:
    """Checks readings in order of time, and keeps the last measurement of each joint.

    Args:
        hand: whose joints they are.

    Attributes:
        measured_at: time of each joint's last measurement [s], (n_actuators,); -inf before the
            first one.
    """

    def __init__(self, hand: Hand) -> None:
        self.measured_at = np.full(hand.n_actuators, -np.inf)
        self._names = hand.actuator_names
        self._lower, self._upper = hand.lower - OUTSIDE, hand.upper + OUTSIDE
        self._all = np.ones(hand.n_actuators, dtype=np.bool_)
        self._last: JointState | None = None
        self._since = np.zeros(hand.n_actuators)
        self._least = np.full(hand.n_actuators, np.inf)
        self._most = np.full(hand.n_actuators, -np.inf)

    @property
    def joints(self) -> JointState | None:
        """The last measurement of every joint; None until each joint was measured."""
        return self._last if np.isfinite(self.measured_at).all() else None

    def flaw(self, joints: JointState) -> str:
        """Why a reading is not plausible; empty if it is, and then it is stored.

        NaN means that the joint was not measured: its last measurement stays.
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
            # The bound grows with time, so that a wrong reading cannot exclude all later ones.
            possible = SLACK + FASTEST * np.maximum(joints.t - self.measured_at, 0.0)
            leapt = np.abs(position - last.position) > possible
            if leapt.any():
                return f"{self._first(leapt)} moved impossibly fast"
            moved = position != last.position
        self._note(moved, joints.t)
        if every:
            self.measured_at, self._last = np.full(len(position), joints.t), joints
        else:
            self.measured_at = np.where(silent, self.measured_at, joints.t)
            self._last = joints if last is None else _filled(joints, last, silent)
        return ""

    def overdue(self, t: float, limit: float) -> str:
        """Which joints were measured longer ago than `limit` [s] at `t` [s]; empty if none was."""
        age = t - self.measured_at
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
    """A reading with its gaps filled by the previous measurement."""
    return replace(
        joints,
        position=frozen_array(np.where(silent, last.position, joints.position)),
        velocity=frozen_array(np.where(silent, last.velocity, joints.velocity)),
        current=frozen_array(np.where(silent, last.current, joints.current)),
    )
