"""Immutable, time-stamped records that cross the boundary to the hand."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class JointState:
    """Measured state of all servos at one instant; NaN for a servo that did not answer.

    Attributes:
        t: time of the measurement [s, CLOCK_MONOTONIC or simulated].
        position: servo angles as the encoders see them [rad], (n_actuators,).
        velocity: servo velocities [rad/s], (n_actuators,).
        current: motor currents [A], (n_actuators,).
        temperature: of the servos, at most a few seconds old [°C], (n_actuators,); None if they
            are not read.
        voltage: at the servos' inputs, of the same age [V], (n_actuators,); None if it is not
            read.
    """

    t: float
    position: Array
    velocity: Array
    current: Array
    temperature: Array | None = None
    voltage: Array | None = None


@dataclass(frozen=True, slots=True)
class Targets:
    """Commanded servo angles.

    Attributes:
        t: time of the tick that computed them [s].
        position: commanded servo angles [rad], (n_actuators,), actuator order.
    """

    t: float
    position: Array


def frozen_array(values: object) -> Array:
    """Returns a read-only float64 copy, as every record carries."""
    array = np.array(values, dtype=np.float64)
    array.setflags(write=False)
    return array
