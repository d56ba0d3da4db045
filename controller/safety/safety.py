"""Limiter chain: keeps every target inside the hand's limits.

Pure functions over leading batch axes; the same code limits the robot, both simulations and
training.
"""

from dataclasses import dataclass

import numpy as np

from inhand.hardware.model.hand import Hand
from inhand.hardware.records import Array

POSITION_MARGIN = 0.01
"""Distance that targets keep from the ends of the joint ranges [rad]."""


@dataclass(frozen=True)
class Limits:
    """Bounds of the targets, each (n_actuators,).

    Attributes:
        lower: [rad].
        upper: [rad].
        velocity: [rad/s].
        acceleration: [rad/s²].
    """

    lower: Array
    upper: Array
    velocity: Array
    acceleration: Array

    @classmethod
    def of(cls, hand: Hand) -> "Limits":
        """The limits that the hand file states, less the position margin."""
        return cls(
            hand.lower + POSITION_MARGIN,
            hand.upper - POSITION_MARGIN,
            hand.velocity_limit,
            hand.acceleration_limit,
        )


@dataclass(frozen=True)
class Motion:
    """Position and velocity of the sent targets.

    Attributes:
        position: last sent targets [rad], (..., n_actuators).
        velocity: their velocity in the tick that led there [rad/s], (..., n_actuators).
    """

    position: Array
    velocity: Array


def limit(limits: Limits, motion: Motion, wanted: Array, dt: float) -> Motion:
    """Moves the targets towards the wanted ones for one tick, inside all limits.

    The speed v is at most the one from which the target can still brake in time, however long or
    short the ticks that follow are: v·dt + v²/2a = distance, solved for v. Braking by a·dt a tick
    covers no more than v²/2a, so neither the wanted target nor a joint limit is overshot, and the
    condition holds again in the next tick.

    Args:
        limits: bounds.
        motion: what the last call returned.
        wanted: targets asked for [rad], (..., n_actuators); values that are not finite
            mean no motion.
        dt: length of the tick [s], positive.

    Returns:
        The targets to send, and their velocity in this tick.
    """
    finite = np.where(np.isfinite(wanted), wanted, motion.position)
    # By minimum and maximum: np.clip takes several times as long for a few joints.
    distance = np.minimum(np.maximum(finite, limits.lower), limits.upper) - motion.position
    step = limits.acceleration * dt
    double = 2 * np.abs(distance)
    # The solution in the form that loses no digits where the distance is small.
    speed = (
        limits.acceleration * double / (np.sqrt(step * step + limits.acceleration * double) + step)
    )
    speed = np.minimum(speed, limits.velocity)
    velocity = np.maximum(np.copysign(speed, distance), motion.velocity - step)
    velocity = np.minimum(velocity, motion.velocity + step)
    # A hand that starts outside the limits returns under the same limits of speed.
    lower = np.minimum(limits.lower, motion.position)
    upper = np.maximum(limits.upper, motion.position)
    position = np.minimum(np.maximum(motion.position + velocity * dt, lower), upper)
    return Motion(position, (position - motion.position) / dt)


def rest_point(limits: Limits, motion: Motion) -> Array:
    """Where the targets come to rest when they brake from now on [rad], (..., n_actuators)."""
    way = motion.velocity * np.abs(motion.velocity) / (2 * limits.acceleration)
    return motion.position + way
