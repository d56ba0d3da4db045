"""How servos warm up and protect themselves: a first-order model of their case.

Current heats with its square, air cools in proportion to the difference. What the numbers are for
a real servo depends on what it is screwed to: these let one that is stalled at its current limit
reach its temperature limit after three and a half minutes.
"""

import numpy as np

from inhand.hardware.records import Array

AIR = 25.0
"""[°C]."""
RISE = 90.0
"""By which the largest current warms a servo in the end [K]."""
TIME = 300.0
"""In which it has come 63 % of the way [s]."""
START = 30.0
"""Where servos begin [°C]."""
OVERLOAD_SHARE, OVERLOAD_TIME = 0.95, 2.0
"""A servo is overloaded when it draws this share of its current limit for so long [s]."""


class Heat:
    """Temperature and load of some servos.

    Args:
        count: how many.

    Attributes:
        temperature: [°C], (n,).
        loaded: for how long each has drawn as good as its current limit [s], (n,).
    """

    def __init__(self, count: int) -> None:
        self.temperature: Array = np.full(count, START)
        self.loaded: Array = np.zeros(count)

    def advance(self, share: Array, dt: float) -> None:
        """Lets time pass [s] at a share of the largest current, (n,)."""
        blend = 1.0 - np.exp(-dt / TIME)
        end = AIR + RISE * share**2
        self.temperature = self.temperature + blend * (end - self.temperature)
        self.loaded = np.where(share >= OVERLOAD_SHARE, self.loaded + dt, 0.0)
