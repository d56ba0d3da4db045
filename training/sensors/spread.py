"""Variances of a pose filter with the same variance about every axis, for numpy and torch."""

from dataclasses import dataclass
from typing import Any

from array_api_compat import array_namespace

Values = Any
"""Arrays of numpy, or tensors of torch on one device."""


@dataclass
class Spread:
    """Variances of pose and velocity and their covariance, (2, n) each: linear, then angular."""

    pose: Values
    mixed: Values
    speed: Values

    def at(self, ids: Values) -> "Spread":
        """Those of some worlds."""
        return Spread(self.pose[:, ids], self.mixed[:, ids], self.speed[:, ids])

    def put(self, ids: Values, other: "Spread") -> None:
        """Replaces those of some worlds."""
        self.pose[:, ids], self.mixed[:, ids] = other.pose, other.mixed
        self.speed[:, ids] = other.speed

    def predicted(self, span: Values, decay: float, speeds: Values) -> "Spread":
        """The covariance after some time, of velocities that decay and wander.

        Args:
            span: that time [s], (n,).
            decay: time in which a velocity decays to 1/e [s].
            speeds: variances of velocities, linear and angular, (2, 1).
        """
        xp = array_namespace(span)
        x = span / decay
        kept, reach = xp.exp(-x), -decay * xp.expm1(-x)
        pose = decay**2 * (2.0 * x + 4.0 * xp.expm1(-x) - xp.expm1(-2.0 * x))
        mixed, speed = decay * xp.expm1(-x) ** 2, -xp.expm1(-2.0 * x)
        return Spread(
            self.pose + 2.0 * reach * self.mixed + reach**2 * self.speed + speeds * pose,
            kept * (self.mixed + reach * self.speed) + speeds * mixed,
            kept**2 * self.speed + speeds * speed,
        )

    def measured(self, variance: Values) -> tuple["Spread", Values, Values]:
        """The covariance after a measured pose with these variances, (2, n).

        Returns:
            It, and the shares of the pose's difference that correct pose and velocity, (2, n).
        """
        total = self.pose + variance
        gain, pull = self.pose / total, self.mixed / total
        rest = 1.0 - gain
        after = Spread(rest * self.pose, rest * self.mixed, self.speed - pull * self.mixed)
        return after, gain, pull
