"""What is allowed in a hand file, and seldom meant."""

import numpy as np

from inhand.hardware.model.hand import Hand
from inhand.hardware.model.shape_gap import shape_gap
from inhand.hardware.records import Array

OBJECT_RADIUS = 0.0275
"""Half an edge of the block [m]: what is nearer to the object's middle is inside of it."""


def doubts(hand: Hand, start: Array | None = None) -> list[str]:
    """Sentences about what should be looked at.

    Args:
        hand: the hand.
        start: where the object is put, world frame [m], (3,); None: where the hand file says.
    """
    place = np.array(hand.workspace.object_start) if start is None else start
    gap = float(shape_gap(hand, hand.rest, place[None])[0])
    if gap >= OBJECT_RADIUS:
        return []
    where = "in a shape" if gap < 0 else f"{1000 * gap:.0f} mm from a shape"
    return [
        f"object_start is {where} of the hand at rest, so that an object of "
        f"{1000 * OBJECT_RADIUS:g} mm around its middle would be thrown out of it; move "
        "object_start, or change the rest pose"
    ]
