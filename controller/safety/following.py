"""Following errors: joints that use their torque and do not get nearer to their targets.

A joint that is jammed, pinched or pulled at is reported first, then its target is moved nearer to
its position, so that it pushes with less torque, and at last it is a fault. The derating
(`inhand.controller.safety.derating`) carries out what is decided here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inhand.hardware.records import Array

BEGIN, END = 0.9, 0.75
"""Shares of the allowed torque from which a joint counts as blocked, and below which it does not
any more."""
PROGRESS = 0.1
"""A joint that moves this far towards its target is not blocked [rad]."""


@dataclass(frozen=True)
class Patience:
    """How long a joint may be blocked until something happens [s].

    Attributes:
        warn: until it is reported.
        back_off: until its torque is reduced.
        fault: until it is a fault, (n_actuators,); infinite for a servo that bears the reduced
            torque without an end.
        share: share of the torque limit to which the torque is reduced.
    """

    warn: float
    back_off: float
    fault: Array
    share: float


class Following:
    """Measures for each joint how long it has been blocked.

    Args:
        reach: error at which a servo uses its whole torque limit [rad], (..., n_actuators).
        patience: how long that may last.

    Attributes:
        blocked: how long each joint has been blocked [s], (..., n_actuators).
        reported: whether each joint was reported as blocked, (..., n_actuators).
    """

    def __init__(self, reach: Array, patience: Patience) -> None:
        self.blocked = np.zeros(reach.shape)
        self.reported = np.zeros(reach.shape, dtype=np.bool_)
        self._reach, self._patience = reach, patience
        self._begun_at = np.zeros(reach.shape)
        # Whether any joint is or was blocked; else a tick costs next to nothing.
        self._active = False

    @property
    def idle(self) -> bool:
        """Whether no joint is blocked or reported: then `share` is 1, and nothing changes."""
        return not self._active

    @property
    def share(self) -> Array:
        """Share of its torque limit that each servo may use, (..., n_actuators)."""
        return np.where(self.blocked >= self._patience.back_off, self._patience.share, 1.0)

    @property
    def overdue(self) -> NDArray[np.bool_]:
        """Whether each joint has been blocked until it is a fault, (..., n_actuators)."""
        return np.asarray(self.blocked >= self._patience.fault)

    def take(self, targets: Array | None, position: Array, torque: Array, dt: float) -> None:
        """Takes one tick.

        Args:
            targets: what the servos follow [rad], (..., n_actuators); None if they follow nothing.
            position: where the joints are [rad], (..., n_actuators).
            torque: measured, as a share of its limit, (..., n_actuators); NaN where it is not
                known.
            dt: length of the tick [s].
        """
        if targets is None:
            self.blocked = np.zeros(self.blocked.shape)
            return
        error = targets - position
        used = np.fmax(np.abs(error) / self._reach, torque)
        if not self._active and used.max() < BEGIN:
            return
        used /= self.share
        waiting = self.blocked > 0.0
        on = used >= np.where(waiting, END, BEGIN)
        moved = waiting & ((position - self._begun_at) * np.sign(error) > PROGRESS)
        goes_on = on & waiting & ~moved
        self._begun_at = np.where(goes_on, self._begun_at, position)
        self.blocked = np.where(goes_on, self.blocked + dt, np.where(on, dt, 0.0))
        self._active = bool(on.any() or self.reported.any())

    def changed(self) -> bool:
        """Whether `reported` has changed since the last call; brings it up to date."""
        if self.idle:
            return False
        now = self.blocked >= self._patience.warn
        changed = bool((now != self.reported).any())
        self.reported = now
        return changed

    def fault(self, names: Sequence[str]) -> str:
        """What is wrong with a joint that has been blocked for too long; empty if none has."""
        if self.idle:
            return ""
        over = self.overdue
        if not over.any():
            return ""
        at = int(np.argmax(np.where(over, self.blocked, 0.0)))
        return (
            f"{names[at]} has been blocked for {self.blocked[at]:.0f} s: its servo pushes and it "
            "does not get nearer to its target; free it"
        )
