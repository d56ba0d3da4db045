"""The limiter chain: whatever is asked for, what is sent stays inside the hand's limits.

Pure functions over leading batch axes; the same code limits the robot, both simulations and
training.
"""

from dataclasses import dataclass

import numpy as np

from hardware.hand import Hand
from hardware.records import Array

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
    """Where the sent targets are and how fast they move.

    Attributes:
        position: last sent targets [rad], (..., n_actuators).
        velocity: their velocity [rad/s], (..., n_actuators).
    """

    position: Array
    velocity: Array


def limit(limits: Limits, motion: Motion, wanted: Array, dt: float) -> Motion:
    """Moves the targets towards the wanted ones for one tick, inside all limits.

    Speed is bounded by the fastest from which the target can still brake in time, so that
    neither the wanted target nor a joint limit is overshot:
    v·dt/2 + v²/(2a) = distance, solved for v (uniform braking in steps of dt).

    Args:
        limits: bounds.
        motion: what the last call returned.
        wanted: targets asked for [rad], (..., n_actuators); values that are not finite ask
            for no motion.
        dt: length of the tick [s], positive.

    Returns:
        The targets to send, and their velocity.
    """
    finite = np.where(np.isfinite(wanted), wanted, motion.position)
    distance = np.clip(finite, limits.lower, limits.upper) - motion.position
    step = limits.acceleration * dt
    braking = (np.sqrt(step * step + 8 * limits.acceleration * np.abs(distance)) - step) / 2
    speed = np.minimum(np.minimum(np.abs(distance) / dt, braking), limits.velocity)
    velocity = np.clip(np.copysign(speed, distance), motion.velocity - step, motion.velocity + step)
    # A hand that starts outside the limits comes back at the speed that everything else has.
    lower, upper = (
        np.minimum(limits.lower, motion.position),
        np.maximum(limits.upper, motion.position),
    )
    return Motion(np.clip(motion.position + velocity * dt, lower, upper), velocity)
