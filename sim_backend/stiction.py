"""Static friction of joints above the kinetic friction, for engines that step one world."""

import numpy as np

from inhand.hardware.model.hand import Hand
from inhand.hardware.model.universe import Universe
from inhand.hardware.records import Array

STICK_SPEED = 0.05
"""A slower joint counts as at rest [rad/s]: in the engines, joints with friction creep slowly."""


class Stiction:
    """Friction of a hand's joints at rest and in motion.

    Args:
        hand: of the universe, with the kinetic friction of joints.
        universe: its `stiction` is used.

    Attributes:
        acts: whether any joint has stiction.
    """

    def __init__(self, hand: Hand, universe: Universe) -> None:
        self._moving = np.array([link.friction for link in hand.links])
        self._more = np.array(universe.stiction) if universe.stiction else np.zeros(hand.n_joints)
        self.acts = bool(self._more.any())

    def friction(self, speeds: Array) -> Array:
        """Largest friction torque [N·m], (n_joints,), at these speeds [rad/s], (n_joints,)."""
        return breakaway(self._moving, self._more, speeds)


def breakaway(moving: Array, more: Array, speeds: Array) -> Array:
    """Friction torque [N·m], (..., n_joints): `moving`, with `more` added at rest."""
    torque: Array = moving + np.where(np.abs(speeds) < STICK_SPEED, more, 0.0)
    return torque
