"""Starts of episodes with an object that has lain in the resting hand for a moment.

A service starts its policy when the object lies in the hand, or still rolls there. A policy whose
episodes all begin with the object above the hand learns to catch it, and seldom sees such a start.
"""

import numpy as np

from inhand.training.mujoco_worlds.environment import BatchEnvironment
from inhand.training.mujoco_worlds.start_states import StartStates

SECONDS = 0.5
"""Time for which the hand rests below the object, as before a trial of `inhand eval` [s]."""

ROUNDS = 4
"""Number of starts that are collected for each world."""


def collect_starts(worlds: BatchEnvironment, share: float) -> StartStates:
    """Lets objects settle in the resting hands of these worlds, in universes drawn as they are.

    The worlds are in the middle of such episodes afterwards: reset them.

    Args:
        worlds: hands with objects.
        share: of the episodes that begin with one of the starts.
    """
    every = np.arange(worlds.size)
    rest = np.tile(worlds.path.action_for(worlds.hand.rest), (worlds.size, 1))
    sizes, positions, velocities = [], [], []
    for _ in range(ROUNDS):
        worlds.reset(every)
        held = np.ones(worlds.size, dtype=np.bool_)
        for _ in range(round(SECONDS * worlds.policy_rate)):
            held &= ~worlds.step(rest).dropped
        sizes.append(worlds.object_size[held])
        positions.append(worlds.positions[held])
        velocities.append(worlds.velocities[held])
    return StartStates(
        share, np.concatenate(sizes), np.concatenate(positions), np.concatenate(velocities)
    )
