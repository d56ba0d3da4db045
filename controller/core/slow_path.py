"""Paths for slow moves, on which no finger runs into another.

The straight way is taken if it is free. Otherwise one finger goes to its destination first, or one
joint, of those that have a free way the one with most room; then the rest is planned anew. So the
work of one tick is bounded. On the way to the rest pose, whose fingers may be raised, they go to
the hand's `action_zero` first.
"""

import numpy as np

from inhand.controller.estimation.finger_gaps import FingerGaps
from inhand.controller.safety.safety import Limits
from inhand.hardware.model.hand import Hand
from inhand.hardware.records import Array

GAP = 0.001
"""Smallest gap between fingers on a free way [m]: the error of the gaps."""

SAMPLES = 24
"""Poses that are checked on a straight way; half as many on that of one finger or joint."""


class PathPlanner:
    """Plans slow moves of a hand.

    Args:
        hand: the hand.
    """

    def __init__(self, hand: Hand) -> None:
        self._gaps = FingerGaps(hand)
        self._rest, self._level, self._limits = hand.rest, hand.action_zero, Limits.of(hand)
        names = np.array(hand.link_names)
        fingers: list[list[int]] = [[] for _ in hand.collision_groups]
        for actuator, joint in enumerate(hand.driven_joint):
            carried = names[hand.moved_by[:, joint]]
            moved = [bool(np.isin(carried, one).any()) for one in hand.collision_groups.values()]
            if sum(moved) == 1:
                fingers[moved.index(True)].append(actuator)
        self._fingers = [finger for finger in fingers if finger]
        self._joints = [[actuator] for finger in fingers for actuator in finger]

    def next(self, start: Array, destination: Array) -> tuple[Array, bool]:
        """The pose to go to first, on the straight way.

        Fingers that touch at the start or at the destination may come no nearer on the way.

        Args:
            start: the present pose [rad], (n_actuators,).
            destination: [rad], (n_actuators,).

        Returns:
            pose: [rad], (n_actuators,).
            free: whether the fingers keep clear of one another on the way to it; if not, it is
                the destination.
        """
        allowed = float(self._gaps.smallest(np.array([start, destination])).min())
        allowed = min(GAP, allowed) - 1e-9
        if self._gap(start, [destination], SAMPLES)[0] >= allowed:
            return destination, True
        # Where raised fingers leave no way, level ones nearly always do; from there the last part
        # is straight. Both ways at once could lead to and fro between them.
        via = self._level if np.array_equal(destination, self._rest) else destination
        # What the targets can reach: a finger that is there is not to go there once more.
        via = np.clip(via, self._limits.lower, self._limits.upper)
        for parts in (self._fingers, self._joints):
            ends = []
            for part in parts:
                if (np.abs(start[part] - via[part]) > 1e-3).any():
                    end = np.array(start)
                    end[part] = via[part]
                    ends.append(end)
            if ends:
                gaps = self._gap(start, ends, SAMPLES // 2)
                best = int(gaps.argmax())
                if gaps[best] >= allowed:
                    return ends[best], True
        return destination, False

    def _gap(self, start: Array, ends: list[Array], samples: int) -> Array:
        """The smallest gap on the straight way to each of these poses [m], (n,)."""
        shares = np.linspace(0.0, 1.0, samples)[:, None]
        poses = np.concatenate([start + shares * (end - start) for end in ends])
        smallest: Array = self._gaps.smallest(poses).reshape(len(ends), samples).min(axis=1)
        return smallest
