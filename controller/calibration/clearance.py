"""Smallest gap between the fingers in a pose."""

from inhand.controller.estimation.finger_gaps import FingerGaps
from inhand.hardware.model.hand import Hand
from inhand.hardware.records import Array


def clearance(hand: Hand, poses: Array) -> Array:
    """The smallest gap between links of different collision groups [m], (n,).

    Args:
        hand: shapes and groups.
        poses: of the actuators [rad], (n, n_actuators).
    """
    return FingerGaps(hand).smallest(poses)
