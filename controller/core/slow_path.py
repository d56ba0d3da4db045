"""Paths for slow moves, on which no finger runs into another.

The straight way is taken if it is free. Otherwise one finger goes to its destination first, or one
joint, of those that have a free way the one with most room; then the rest is planned anew. So the
work of one tick is bounded. On the way to the rest pose, whose fingers may be raised, they go to
the hand's `action_zero` first. Where none can go, bent fingers are in one another's way: from then
on they are straightened first.
"""

from dataclasses import dataclass

import numpy as np

from inhand.controller.estimation.finger_gaps import FingerGaps
from inhand.controller.safety.safety import Limits
from inhand.hardware.model.hand import Hand
from inhand.hardware.records import Array

GAP = 0.001
"""Smallest gap between fingers on a free way [m]: the error of the gaps."""

SAMPLES = 24
"""Poses that are checked on a straight way; half as many on that of one finger or joint."""


@dataclass(frozen=True)
class Leg:
    """One part of a way.

    Attributes:
        pose: to go to first, on the straight way [rad], (n_actuators,).
        free: whether the fingers keep clear of one another until then; if not, `pose` is the
            destination.
        straightening: whether the fingers are straightened on this way.
    """

    pose: Array
    free: bool
    straightening: bool


class PathPlanner:
    """Plans slow moves of a hand.

    Args:
        hand: the hand.
    """

    def __init__(self, hand: Hand) -> None:
        self._gaps = FingerGaps(hand)
        self._rest, self._level, self._limits = hand.rest, hand.action_zero, Limits.of(hand)
        self._straight = hand.straight
        names = np.array(hand.link_names)
        fingers: list[list[int]] = [[] for _ in hand.collision_groups]
        for actuator, joint in enumerate(hand.driven_joint):
            carried = names[hand.moved_by[:, joint]]
            moved = [bool(np.isin(carried, one).any()) for one in hand.collision_groups.values()]
            if sum(moved) == 1:
                fingers[moved.index(True)].append(actuator)
        self._fingers = [finger for finger in fingers if finger]
        self._joints = [[actuator] for finger in fingers for actuator in finger]

    def next(self, start: Array, destination: Array, *, straightening: bool = False) -> Leg:
        """The first part of the way from here.

        Fingers that touch at the start or at the destination may come no nearer on the way.

        Args:
            start: the present pose [rad], (n_actuators,).
            destination: [rad], (n_actuators,).
            straightening: that of the part before, on the same way: otherwise fingers could bend
                and straighten in turn for ever.
        """
        allowed = float(self._gaps.smallest(np.array([start, destination])).min())
        allowed = min(GAP, allowed) - 1e-9
        if self._gap(start, [destination], SAMPLES)[0] >= allowed:
            return Leg(destination, True, straightening)
        # Where raised fingers leave no way, level ones nearly always do; from there the last part
        # is straight.
        over = self._level if np.array_equal(destination, self._rest) else destination
        for straight in (False, True)[straightening:]:
            towards = self._straight if straight else over
            pose = self._one_part(start, towards, allowed)
            if pose is not None:
                return Leg(pose, True, straight)
        return Leg(destination, False, True)

    def _one_part(self, start: Array, towards: Array, allowed: float) -> Array | None:
        """The pose with one finger or joint moved towards a pose, on the way with most room.

        Args:
            start: the present pose [rad], (n_actuators,).
            towards: [rad], (n_actuators,).
            allowed: smallest gap on the way [m].

        Returns:
            [rad], (n_actuators,); None if no way has so much room.
        """
        # What the targets can reach: a finger that is there is not to go there once more.
        towards = np.clip(towards, self._limits.lower, self._limits.upper)
        for parts in (self._fingers, self._joints):
            ends = []
            for part in parts:
                if (np.abs(start[part] - towards[part]) > 1e-3).any():
                    end = np.array(start)
                    end[part] = towards[part]
                    ends.append(end)
            if ends:
                gaps = self._gap(start, ends, SAMPLES // 2)
                best = int(gaps.argmax())
                if gaps[best] >= allowed:
                    return ends[best]
        return None

    def _gap(self, start: Array, ends: list[Array], samples: int) -> Array:
        """The smallest gap on the straight way to each of these poses [m], (n,)."""
        shares = np.linspace(0.0, 1.0, samples)[:, None]
        poses = np.concatenate([start + shares * (end - start) for end in ends])
        smallest: Array = self._gaps.smallest(poses).reshape(len(ends), samples).min(axis=1)
        return smallest
