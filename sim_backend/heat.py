"""Thermal model of servos (first order), and their overload protection.

Heating is proportional to the square of the current, cooling to the temperature difference to air.
The constants of a real servo depend on its mounting. With these, a servo that is stalled at its
current limit reaches its temperature limit after three and a half minutes.
"""

import numpy as np

from inhand.hardware.records import Array

AIR = 25.0
"""Air temperature [°C]."""
RISE = 90.0
"""Steady-state temperature rise at the largest current [K]."""
TIME = 300.0
"""Time constant [s]."""
START = 30.0
"""First temperature of the servos [°C]."""
OVERLOAD_SHARE, OVERLOAD_TIME = 0.95, 2.0
"""A servo is overloaded when it draws this share of its current limit for this time [s]."""


class Heat:
    """Temperature and load of some servos.

    Args:
        count: how many.

    Attributes:
        temperature: [°C], (n,).
        loaded: time for which each has drawn at least `OVERLOAD_SHARE` of its limit [s], (n,).
    """

    def __init__(self, count: int) -> None:
        self.temperature: Array = np.full(count, START)
        self.loaded: Array = np.zeros(count)

    def advance(self, share: Array, dt: float) -> None:
        """Advances by `dt` [s] at a share of the largest current, (n,)."""
        blend = 1.0 - np.exp(-dt / TIME)
        end = AIR + RISE * share**2
        self.temperature = self.temperature + blend * (end - self.temperature)
        self.loaded = np.where(share >= OVERLOAD_SHARE, self.loaded + dt, 0.0)
