"""Slow return of joints that are outside their range when torque goes on: each joint alone."""

from dataclasses import replace

import numpy as np

from inhand.controller.safety.safety import POSITION_MARGIN, Limits
from inhand.hardware.records import Array

NEAR = 2 * POSITION_MARGIN
"""Distance from the limits within which a joint counts as inside [rad]: some rest at a stop."""


class ReturnLimits:
    """Temporary limits that include targets outside the range, and shrink at a given speed.

    Args:
        limits: limits of joints that are inside their ranges.
        speed: speed at which joints return [rad/s].

    Attributes:
        limits: present limits of targets; joints that return have `speed` as velocity limit.
        outside: whether a joint is more than `NEAR` outside, so that all other motion waits.
    """

    def __init__(self, limits: Limits, speed: float) -> None:
        self.limits = self._limits = limits
        self.outside = False
        self._speed, self._halted = speed, False

    def pin(self, position: Array) -> None:
        """Starts with these targets [rad], (n_actuators,)."""
        self._halted = False
        self._widen(position, position, position)

    def halt(self, position: Array) -> None:
        """Stops the return until `pin`: joints outside keep these targets [rad], (n_actuators,)."""
        self._halted = True
        self._widen(position, position, position)

    def advance(self, position: Array, dt: float) -> None:
        """Narrows the limits for one tick.

        Args:
            position: the targets sent last [rad], (n_actuators,).
            dt: length of the tick [s].
        """
        if self.limits is not self._limits and not self._halted:
            step = self._speed * dt
            self._widen(position, self.limits.lower + step, self.limits.upper - step)

    def _widen(self, position: Array, lower: Array, upper: Array) -> None:
        own = self._limits
        low, high = position < own.lower, position > own.upper
        out = low | high
        if not out.any():
            self.limits, self.outside = own, False
            return
        beyond = np.maximum(own.lower - position, position - own.upper)
        self.outside = bool(beyond.max() > NEAR)
        self.limits = replace(
            own,
            lower=np.where(low, np.minimum(lower, own.lower), own.lower),
            upper=np.where(high, np.maximum(upper, own.upper), own.upper),
            velocity=np.where(out, np.minimum(self._speed, own.velocity), own.velocity),
        )
