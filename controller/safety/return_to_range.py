"""How joints that get torque outside their range come back into it: each by itself, slowly."""

from dataclasses import replace

import numpy as np

from inhand.controller.safety.safety import POSITION_MARGIN, Limits
from inhand.hardware.records import Array

NEAR = 2 * POSITION_MARGIN
"""A joint so near to its limits is as good as inside them [rad]: some rest at their stops."""


class WayBack:
    """Limits that are as wide as where the targets are, and become narrower at a given speed.

    Args:
        limits: of joints that are in their ranges.
        speed: at which joints come back [rad/s].

    Attributes:
        limits: what targets must keep to now; joints that are on their way back move no faster
            than they may.
        outside: whether a joint is so far out that everything else waits for it.
    """

    def __init__(self, limits: Limits, speed: float) -> None:
        self.limits = self._limits = limits
        self.outside = False
        self._speed, self._halted = speed, False

    def pin(self, position: Array) -> None:
        """Begins with these targets [rad], (n_actuators,)."""
        self._halted = False
        self._widen(position, position, position)

    def halt(self, position: Array) -> None:
        """Leaves what is outside where its target is [rad], (n_actuators,), until `pin`."""
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
