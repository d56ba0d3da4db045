"""Goal orientations: the nearest of several, the shortest way, and random ones."""

import numpy as np

from inhand.perception import rotations
from inhand.perception.rotations import Array

_UP = np.array([0.0, 0.0, 1.0])

_UPSIDE_DOWN = 0.3
"""Within this angle of the opposite direction [rad], the nearest heading depends on noise."""


def nearest(
    goal: Array, quaternion: Array, symmetry: Array | None, *, any_heading: bool = False
) -> Array:
    """Of all orientations that meet a goal, the one that is nearest to the object's.

    Args:
        goal: one orientation that meets it, world from object, wxyz, (4,).
        quaternion: the object's orientation, world from object, wxyz, (4,).
        symmetry: rotations of the object, (k, 4) wxyz, after which the goal is still met; None if
            there are none. They form a group, so that it does not matter which of the orientations
            `goal` is.
        any_heading: whether the goal is met with any rotation about the vertical.

    Returns:
        World from object, wxyz, (4,).
    """
    if symmetry is None and not any_heading:
        return goal
    goals = goal[None] if symmetry is None else rotations.multiply(goal, symmetry)
    if any_heading:
        goals = np.array([_with_nearest_heading(one, quaternion) for one in goals])
    nearest_one: Array = goals[np.argmin(rotations.angle_between(goals, quaternion))]
    return nearest_one


def _with_nearest_heading(goal: Array, quaternion: Array) -> Array:
    """The goal with the heading to which the smallest rotation leads, wxyz, (4,)."""
    normal = rotations.rotate(rotations.conjugate(goal), _UP)
    now = rotations.rotate(quaternion, normal)
    if now @ _UP < -np.cos(_UPSIDE_DOWN):
        return goal
    return rotations.multiply(shortest_turn(now, _UP), quaternion)


def shortest_turn(one: Array, other: Array) -> Array:
    """The smallest rotation, wxyz, (4,), that turns one unit vector into another, (3,) each."""
    cosine = float(one @ other)
    if cosine < -1 + 1e-9:
        # Opposite vectors: any perpendicular axis is valid.
        axis = np.cross(one, np.eye(3)[np.argmin(np.abs(one))])
        return rotations.exp(np.pi * axis / np.linalg.norm(axis))
    return rotations.normalize(np.concatenate([[1 + cosine], np.cross(one, other)]))


def random_rotation(rng: np.random.Generator, max_angle: float) -> Array:
    """Draws uniformly from the rotations by at most `max_angle` [rad]; wxyz, (4,)."""
    if max_angle >= np.pi:
        return rotations.random_quaternion(rng)
    # For uniform rotations the distribution function of the angle θ is proportional to θ - sin θ.
    angles = np.linspace(0.0, max_angle, 1001)
    cumulative = angles - np.sin(angles)
    angle = np.interp(rng.uniform(0.0, cumulative[-1]), cumulative, angles)
    axis = rng.standard_normal(3)
    return rotations.exp(angle * axis / np.linalg.norm(axis))
