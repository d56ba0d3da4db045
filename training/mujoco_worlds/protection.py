"""Protection of the servos in the worlds of training, by the code of the daemon.

Servos that are loaded for long get less torque, and so do joints that push without getting nearer
to their targets. A policy that was trained without it presses harder than a robot lets it.
"""

import numpy as np
from numpy.typing import NDArray

from inhand.controller.config.settings import SafetySettings
from inhand.controller.core.joint_watch import patience_of
from inhand.controller.safety.derating import Effort, allowance, warm, within_reach
from inhand.controller.safety.following import Following
from inhand.controller.safety.safety import Limits, Motion, limit
from inhand.hardware.model.hand import Hand
from inhand.hardware.records import Array


class Protection:
    """Derates the servos of many hands, and tells which hands a robot's daemon would stop.

    Args:
        hand: whose servos they are; their torque is taken as proportional to the distance between
            target and position, up to the limit.
        size: number of worlds.
        limits: of the targets' motion.
        dt: length of a tick [s].

    Attributes:
        share: of its torque limit that each servo may use, (size, n_actuators).
    """

    def __init__(self, hand: Hand, size: int, limits: Limits, dt: float) -> None:
        shape = size, hand.n_actuators
        self.share = np.ones(shape)
        self._limits, self._dt = limits, dt
        self._effort = Effort.of(hand, hand.torque_limit)
        self._effort = Effort(np.zeros(shape), self._effort.reach, self._effort.torque_per_limit)
        patience = patience_of(hand, SafetySettings())
        self._following = Following(np.broadcast_to(self._effort.reach, shape), patience)

    def apply(self, before: Motion, motion: Motion, arrived: Array, position: Array) -> Motion:
        """One tick: moves the targets of derated servos closer to where the servos are.

        Args:
            before: motion of the targets at the start of the tick.
            motion: the same at its end, without protection.
            arrived: targets that the servos follow [rad], (size, n_actuators).
            position: encoder readings [rad], (size, n_actuators).

        Returns:
            The motion of the targets, within the same limits.
        """
        used = np.minimum(np.abs(arrived - position) / self._effort.reach, 1.0)
        self._effort = warm(self._effort, used, self._dt)
        self._following.take(before.position, position, used, self._dt)
        self.share = share = np.minimum(allowance(self._effort, None), self._following.share)
        if (share >= 1.0).all():
            return motion
        near = within_reach(self._effort, share, position, motion.position)
        slowed = limit(self._limits, before, near, self._dt)
        free = (share >= 1.0).all(-1, keepdims=True)
        return Motion(
            np.where(free, motion.position, slowed.position),
            np.where(free, motion.velocity, slowed.velocity),
        )

    @property
    def backed_off(self) -> NDArray[np.int64]:
        """Number of joints of each hand that have less torque since they push in vain, (size,)."""
        joints: NDArray[np.int64] = (self._following.share < 1.0).sum(-1)
        return joints

    @property
    def stopped(self) -> NDArray[np.bool_]:
        """Whether a joint of each hand has been blocked until it is a fault, (size,)."""
        return np.asarray(self._following.overdue.any(-1))

    def reset(self, ids: NDArray[np.int64]) -> None:
        """Servos of these hands are cold, and none of their joints is blocked."""
        self._effort.heat[ids] = 0.0
        self._following.blocked[ids] = 0.0
