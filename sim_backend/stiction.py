"""Friction of joints that is larger at rest than in motion, for engines that step one world."""

import numpy as np

from inhand.hardware.model.hand import Hand
from inhand.hardware.model.universe import Universe
from inhand.hardware.records import Array

STICK_SPEED = 0.05
"""A joint slower than this is at rest [rad/s]: engines creep a little under friction."""


class Stiction:
    """The friction of a hand's joints, as it depends on whether they move.

    Args:
        hand: of the universe, with the friction of joints in motion.
        universe: its `stiction` counts here.

    Attributes:
        acts: whether friction depends on motion at all.
    """

    def __init__(self, hand: Hand, universe: Universe) -> None:
        self._moving = np.array([link.friction for link in hand.links])
        self._more = np.array(universe.stiction) if universe.stiction else np.zeros(hand.n_joints)
        self.acts = bool(self._more.any())

    def friction(self, speeds: Array) -> Array:
        """Torque that friction holds at most [N·m], (n_joints,), at these speeds [rad/s]."""
        return breakaway(self._moving, self._more, speeds)


def breakaway(moving: Array, more: Array, speeds: Array) -> Array:
    """Friction that is `more` at rest than `moving` [N·m], over any leading axes."""
    torque: Array = moving + np.where(np.abs(speeds) < STICK_SPEED, more, 0.0)
    return torque
