"""Less torque for servos that work hard or run hot, before they protect themselves by letting go.

A position servo pulls in proportion to how far its target lies from where it stands. Bounding that
distance bounds its torque, whatever the policy asks for, on any position servo. Pure functions.
"""

from dataclasses import dataclass
from math import expm1

import numpy as np

from inhand.hardware.model.hand import Hand
from inhand.hardware.records import Array

HEATING_TIME = 20.0
"""How long full torque takes to heat a winding to 63 % of where it ends [s]; a small servo's."""
WARM, HOT = 0.6, 1.0
"""Heat, as the mean square of the torque's share of its limit, where derating begins and ends."""
WARM_CASE, HOT_CASE = 60.0, 70.0
"""The same as temperatures that servos report [°C]; they give up at 70 (XC330) or 80 (XM430)."""
LEAST = 0.4
"""Share of the torque limit that is left to a hot servo: enough to go on holding an object."""


@dataclass(frozen=True)
class Effort:
    """What bounds the torque of each servo, each (n_actuators,).

    Attributes:
        heat: low-passed square of each servo's share of its torque limit, 0 to 1.
        reach: how far a target may lie from where the servo stands at full torque [rad].
        torque_per_limit: turns a current into a share of the torque limit [1/A].
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
    # A current that is not known heats as much as the largest.
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
        # Nearly always; where one is no number, the maximum is none either.
        return np.ones(len(effort.heat))
    left = (HOT - effort.heat) / (HOT - WARM)
    if temperature is not None:
        left = np.minimum(left, (HOT_CASE - temperature) / (HOT_CASE - WARM_CASE))
    # A temperature that is no number is as good as the hottest.
    left = np.where(np.isfinite(left), left, 0.0)
    share: Array = LEAST + (1.0 - LEAST) * np.minimum(np.maximum(left, 0.0), 1.0)
    return share


def within_reach(effort: Effort, share: Array, position: Array, wanted: Array) -> Array:
    """Targets that ask of no servo more than its share of torque.

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
