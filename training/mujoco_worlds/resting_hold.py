"""Whether a hand at rest keeps an object that is put into it."""

import numpy as np

from inhand.hardware.model.hand import Hand
from inhand.perception.objects import ObjectDescription
from inhand.training.mujoco_worlds.environment import BatchEnvironment

OBJECTS = 768
"""Objects that are put into the hand, each in an orientation of its own."""

SECONDS = 1.6
"""Time for which the hand waits with the object, as before a policy acts [s]."""

FEWEST_KEPT = 0.99
"""Share of the objects that a rest pose should keep."""


def kept_at_rest(hand: Hand, target: ObjectDescription, count: int = OBJECTS, seed: int = 1) -> int:
    """Counts the objects that do not leave the resting hand, in MuJoCo.

    Args:
        hand: the hand; its servos hold the rest pose.
        target: the object; it begins at the workspace's `object_start`, in random orientations.
        count: number of objects, each in a hand of its own.
        seed: of the orientations.
    """
    worlds = BatchEnvironment(hand, target, count, seed=seed)
    rest = np.tile(worlds.path.action_for(hand.rest), (count, 1))
    kept = np.ones(count, dtype=np.bool_)
    for _ in range(round(SECONDS * worlds.policy_rate)):
        kept &= ~worlds.step(rest).dropped
    return int(kept.sum())


def hold_doubts(target: ObjectDescription, kept: int) -> list[str]:
    """Says so if too few of the objects that were put in were kept."""
    if kept >= FEWEST_KEPT * OBJECTS:
        return []
    return [
        f"{OBJECTS - kept} of {OBJECTS} objects ({target.name}) leave the resting hand within "
        f"{SECONDS} s, before a policy can act; make `rest` more like a bowl, and give the pose "
        "before it as `action_zero`, so that policies stay valid"
    ]
