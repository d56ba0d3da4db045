"""Which way the palm of a hand faces, and how to turn the hand so that it faces up."""

from itertools import product

import numpy as np

from inhand.hardware.model.hand import Hand
from inhand.hardware.model.kinematics import fingertip_positions, link_poses
from inhand.hardware.model.turning import Angles, matrix_rpy, rpy_matrix
from inhand.hardware.records import Array

SAME_WAY = 0.6
"""Fingers have a common palm if the mean of their ways has this share of the mean length."""
FACES_UP = 0.5
"""A palm faces up, and keeps an object, if its direction has this share upwards."""
POINT_UP = 0.8
"""Fingers whose direction has this share upwards are said to point up."""


def palm_doubts(hand: Hand, turned: Angles | None = None) -> list[str]:
    """Says so if an object would fall off the hand, as its palm does not face up.

    Args:
        hand: the hand.
        turned: roll, pitch, yaw [rad] that it was imported with; None if they are not known.
    """
    fingers, palm = finger_direction(hand), palm_direction(hand)
    if palm is None:
        if fingers[2] <= POINT_UP:
            return []
        return ["palm: the fingers point up, and an object falls off them; turn the hand"]
    if palm[2] >= FACES_UP:
        return []
    turn = matrix_rpy(turn_up(fingers, palm) @ rpy_matrix(turned or (0.0, 0.0, 0.0)))
    angles = " ".join(f"{angle:.4g}" for angle in np.round(turn, 3) + 0.0)
    return [
        f"palm: it faces {'down' if palm[2] < -FACES_UP else 'to the side'}, and an object falls "
        "off it; so that it faces up, "
        + (
            f"turn the hand in the world by roll, pitch, yaw {angles} rad"
            if turned is None
            else f"turn the model, for example with --turn {angles}"
        )
    ]


def finger_direction(hand: Hand) -> Array:
    """The way from the first links of the fingers to their tips, joints at zero; unit, (3,)."""
    straight = hand.straight
    _, places = link_poses(hand, hand.joint_angles(straight))
    way = (fingertip_positions(hand, straight) - _finger_starts(hand, places)).mean(axis=0)
    return np.asarray(way / max(float(np.linalg.norm(way)), 1e-9))


def palm_direction(hand: Hand) -> Array | None:
    """The way the palm faces, square to the fingers; unit, world frame, (3,).

    Joints bend far to the palm's side and little to the other: so from all joints at zero to the
    middle of their ranges, fingertips move to the palm's side.

    Returns:
        None if the fingers move different ways, as those of a gripper around its middle.
    """
    bent = (hand.lower + hand.upper) / 2
    ways = fingertip_positions(hand, bent) - fingertip_positions(hand, hand.straight)
    mean, lengths = ways.mean(axis=0), np.linalg.norm(ways, axis=-1)
    if np.linalg.norm(mean) <= SAME_WAY * lengths.mean():
        return None
    fingers = finger_direction(hand)
    square = mean - (mean @ fingers) * fingers
    return np.asarray(square / np.linalg.norm(square))


def turn_up(fingers: Array, palm: Array) -> Array:
    """The smallest turn by quarters about the axes that brings the palm up, fingers level.

    Args:
        fingers: direction of the fingers, (3,).
        palm: direction that the palm faces, (3,).

    Returns:
        Rotation matrix to apply in the world frame, (3, 3).
    """
    quarters = (0.0, np.pi / 2, np.pi, -np.pi / 2)
    turns = [rpy_matrix(angles) for angles in product(quarters, quarters, quarters)]
    # A matrix with a larger trace turns less.
    gain = [
        (round((turn @ palm)[2] - abs((turn @ fingers)[2]), 6), np.trace(turn)) for turn in turns
    ]
    return turns[max(range(len(turns)), key=gain.__getitem__)]


def _finger_starts(hand: Hand, places: Array) -> Array:
    """Place of the first link of each fingertip's finger [m], (n_fingertips, 3)."""
    first = []
    for tip in hand.fingertips:
        at = tip
        # What several fingers hang on is the palm.
        while (above := hand.parents[at]) >= 0 and hand.parents.count(above) == 1:
            at = above
        first.append(at)
    starts: Array = places[first]
    return starts
