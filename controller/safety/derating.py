"""Derating: less torque for servos that are loaded for long or hot, before they shut down.

The torque of a position servo is proportional to the distance between its target and its position.
Limiting this distance limits the torque of any position servo. Pure functions. This is the only
place that derates (docs/decisions/0009-one-derating.md).
"""

from dataclasses import dataclass
from math import expm1

import numpy as np

from inhand.hardware.model.hand import Hand
from inhand.hardware.records import Array

HEATING_TIME = 20.0
"""Thermal time constant of a small servo's winding [s]."""
WARM, HOT = 0.6, 1.0
"""Heat at which derating begins and ends: mean square of the torque as a share of its limit."""
WARM_CASE, HOT_CASE = 60.0, 70.0
"""Reported temperatures at which derating begins and ends [°C]; servos shut down at 70 (XC330) or
80 (XM430)."""
LEAST = 0.4
"""Share of the torque limit that a hot servo keeps: enough to hold an object."""


@dataclass(frozen=True)
class Effort:
    """State of the derating, each (n_actuators,).

    Attributes:
        heat: low-passed square of each servo's share of its torque limit, 0 to 1; of several hands
            (..., n_actuators).
        reach: how far a target may lie from where the servo stands at full torque [rad].
        torque_per_limit: converts a current to a share of the torque limit [1/A].
    """

    heat: Array
    reach: Array
    torque_per_limit: Array

    @classmethod
    def of(cls, hand: Hand, torque_per_ampere: Array) -> "Effort":
        """Cold servos of a hand; `torque_per_ampere` [N·m/A] is (n_actuators,)."""
        gain = np.array([actuator.gain for actuator in hand.actuators])
        return cls(
            np.zeros(hand.n_actuators),
            hand.torque_limit / gain,
            torque_per_ampere / hand.torque_limit,
        )


def warm(effort: Effort, current: Array, dt: float) -> Effort:
    """The effort after servos have drawn these currents [A], (n_actuators,), for `dt` [s]."""
    share = np.minimum(np.abs(current) * effort.torque_per_limit, 1.0)
    # NaN, an unknown current, counts as the largest.
    power = np.where(np.isfinite(share), share, 1.0) ** 2
    blend = -expm1(-dt / HEATING_TIME)
    return Effort(
        effort.heat + blend * (power - effort.heat), effort.reach, effort.torque_per_limit
    )


def allowance(effort: Effort, temperature: Array | None) -> Array:
    """Share of the torque limit that each servo may use, (n_actuators,), from `LEAST` to 1.

    Args:
        effort: as `warm` left it.
        temperature: of the servos [°C], (n_actuators,); None if they were never read.
    """
    if effort.heat.max() <= WARM and (temperature is None or temperature.max() <= WARM_CASE):
        # The usual case. A NaN makes the maximum NaN, and so never takes this branch.
        return np.ones(effort.heat.shape)
    left = (HOT - effort.heat) / (HOT - WARM)
    if temperature is not None:
        left = np.minimum(left, (HOT_CASE - temperature) / (HOT_CASE - WARM_CASE))
    # NaN, an unknown temperature, counts as the highest.
    left = np.where(np.isfinite(left), left, 0.0)
    share: Array = LEAST + (1.0 - LEAST) * np.minimum(np.maximum(left, 0.0), 1.0)
    return share


def within_reach(effort: Effort, share: Array, position: Array, wanted: Array) -> Array:
    """Limits the targets so that no servo exceeds its share of torque.

    Args:
        effort: of the hand.
        share: of the torque limit, (n_actuators,); where it is 1, nothing is changed.
        position: where the servos stand [rad], (n_actuators,).
        wanted: targets asked for [rad], (n_actuators,).

    Returns:
        Targets, (n_actuators,).
    """
    reach = np.where(share < 1.0, share * effort.reach, np.inf)
    near: Array = np.clip(wanted, position - reach, position + reach)
    return near
