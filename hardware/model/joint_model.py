"""Joint model: a spring to the target, with damping and dry friction.

    inertia · a = gain · (target - angle) - damping · v - friction · sign(v) + load

All parameters are divided by the inertia, which cannot be identified from positions alone. Damping
is integrated exactly, the rest with the midpoint rule (second order). Dry friction stops a joint
and keeps it at rest.
"""

from dataclasses import dataclass

import numpy as np

from inhand.hardware.records import Array


@dataclass(frozen=True)
class Dynamics:
    """Parameters of a joint's motion; all arrays have one shape.

    Attributes:
        gain: of the spring over the inertia [1/s²].
        damping: over the inertia [1/s].
        friction: dry, over the inertia [rad/s²].
        load: constant torque over the inertia [rad/s²].
    """

    gain: Array
    damping: Array
    friction: Array
    load: Array


def coast(
    angle: Array, velocity: Array, push: Array, damping: Array, friction: Array, dt: float
) -> tuple[Array, Array]:
    """Advances joints by one step under a constant torque.

    Args:
        angle: after half a step with the velocity before [rad].
        velocity: before the step [rad/s].
        push: torque over inertia, without damping and friction [rad/s²].
        damping: over the inertia, positive [1/s].
        friction: dry, over the inertia [rad/s²].
        dt: length of the step [s].

    Returns:
        Angle [rad] and velocity [rad/s] after the step.
    """
    left = np.exp(-damping * dt)
    reach = (1.0 - left) / damping
    velocity = left * velocity + reach * push
    velocity = velocity - np.clip(velocity, -reach * friction, reach * friction)
    return angle + dt / 2 * velocity, velocity


def follow(
    dynamics: Dynamics, start: Array, targets: Array, kicks: Array, dt: float
) -> tuple[Array, Array]:
    """Motion of joints that start at rest.

    Args:
        dynamics: of the joints, each (...).
        start: first angle [rad], (...).
        targets: mean over each step [rad], (steps, ...).
        kicks: change of velocity before each step, by other joints' inertia [rad/s], (steps, ...).
        dt: length of a step [s].

    Returns:
        Angles [rad] and velocities [rad/s] at the ends of the steps, the start first,
        (steps + 1, ...).
    """
    angles, velocities = np.empty((2, len(targets) + 1, *targets.shape[1:]))
    angles[0], velocities[0] = angle, velocity = start, np.zeros(targets.shape[1:])
    for i, (target, kick) in enumerate(zip(targets, kicks, strict=True)):
        velocity = velocity + kick
        middle = angle + dt / 2 * velocity
        push = dynamics.gain * (target - middle) + dynamics.load
        angle, velocity = coast(middle, velocity, push, dynamics.damping, dynamics.friction, dt)
        angles[i + 1], velocities[i + 1] = angle, velocity
    return angles, velocities
