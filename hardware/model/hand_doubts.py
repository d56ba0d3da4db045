"""What is allowed in a hand file, and seldom meant."""

import numpy as np

from inhand.hardware.model.hand import Hand
from inhand.hardware.model.palm import palm_doubts
from inhand.hardware.model.shape_gap import shape_gap
from inhand.hardware.model.turning import Angles
from inhand.hardware.records import Array

OBJECT_RADIUS = 0.0275
"""Half an edge of the block [m]: what is nearer to the object's middle is inside of it."""
SLOWEST = 0.25
"""Share of its velocity limit that a joint should reach."""


def doubts(hand: Hand, start: Array | None = None, turned: Angles | None = None) -> list[str]:
    """Sentences about what should be looked at.

    Args:
        hand: the hand.
        start: where the object is put, world frame [m], (3,); None: where the hand file says.
        turned: roll, pitch, yaw [rad] that the hand was imported with; None if they are not known.
    """
    place = np.array(hand.workspace.object_start) if start is None else start
    return [*_start_doubts(hand, place), *_speed_doubts(hand), *palm_doubts(hand, turned)]


def _speed_doubts(hand: Hand) -> list[str]:
    """About servos whose torque hardly overcomes damping and friction of their joints."""
    owner, ratios = np.array(hand.actuator_of_joint), np.abs(hand.joint_ratios)
    count = hand.n_actuators
    damping = np.bincount(owner, [link.damping for link in hand.links] * ratios**2, count)
    friction = np.bincount(owner, [link.friction for link in hand.links] * ratios, count)
    spare = np.maximum(0.0, hand.torque_limit - friction)
    share = spare / np.maximum(damping * hand.velocity_limit, 1e-9)
    slowest = int(np.argmin(share))
    if share[slowest] >= SLOWEST:
        return []
    speed, name = share * hand.velocity_limit, hand.actuator_names[slowest]
    return [
        f"torque_limit, damping and friction keep {int((share < SLOWEST).sum())} actuators below "
        f"a quarter of their velocity_limit, {name} below {speed[slowest]:.1f} of "
        f"{hand.velocity_limit[slowest]:g} rad/s; compare them with the servo's data sheet"
    ]


def _start_doubts(hand: Hand, place: Array) -> list[str]:
    """About an object that is put into a shape."""
    gap = float(shape_gap(hand, hand.rest, place[None])[0])
    if gap >= OBJECT_RADIUS:
        return []
    where = "in a shape" if gap < 0 else f"{1000 * gap:.0f} mm from a shape"
    return [
        f"object_start is {where} of the hand at rest, so that an object of "
        f"{1000 * OBJECT_RADIUS:g} mm around its middle would be thrown out of it; move "
        "object_start, or change the rest pose"
    ]
