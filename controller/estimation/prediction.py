"""Prediction: the object moves with the hand, plus random motion relative to it."""

from dataclasses import fields, is_dataclass

import numpy as np

from inhand.controller.estimation.hand_motion import Grip, HandMotion
from inhand.controller.estimation.pose_state import MotionModel, PoseState, propagate
from inhand.hardware.records import Array, JointState

STEP = 0.05
"""Contacts are computed anew after this time [s]."""


class StatePredictor:
    """Predicts estimates.

    Args:
        motion: motion model relative to the hand.
        hand_motion: of the joint readings; None without a hand model.
    """

    def __init__(self, motion: MotionModel, hand_motion: HandMotion | None = None) -> None:
        self.motion, self.hand_motion = motion, hand_motion
        # Cached, so that the prediction from the newest estimate is not repeated at every tick.
        # They are also results: joint readings of more than a second ago, from which they were
        # computed, are no longer there.
        self._start: PoseState | None = None
        self._reached: PoseState | None = None
        self._held: PoseState | None = None
        self._grip: Grip | None = None

    def note(self, joints: JointState) -> None:
        """Adds joint readings."""
        if self.hand_motion is not None:
            self.hand_motion.note(joints)

    def ahead(self, state: PoseState, t: float) -> PoseState:
        """The estimate at a later time `t` [s]."""
        if self.hand_motion is None:
            return propagate(state, t, self.motion)
        now = state
        if self._reached is not None and self._reached.t <= t and _equal(self._start, state):
            now = self._reached
        while self._may_step(now.t, t):
            now = self._once(now, now.t + STEP, self.hand_motion)
        self._start, self._reached = state, now
        return self._once(now, t, self.hand_motion)

    def velocity(self, t: float) -> Array:
        """Velocity that the hand gives to the object of the last call of `ahead`, at `t` [s].

        Returns:
            Linear [m/s] and angular [rad/s], world frame, (6,).
        """
        if self.hand_motion is None or self._grip is None:
            return np.zeros(6)
        return self._grip.response @ self.hand_motion.speeds(t)

    def _may_step(self, start: float, t: float) -> bool:
        """Whether a whole step lies ahead for which all joint readings are known."""
        hand = self.hand_motion
        return (
            hand is not None
            and t - start > STEP
            and hand.covers(start)
            and hand.covers(start + STEP)
        )

    def _once(self, state: PoseState, t: float, hand_motion: HandMotion) -> PoseState:
        if self._grip is None or not _equal(self._held, state):
            known = hand_motion.covers(state.t)
            self._held = state
            self._grip = (
                hand_motion.grip(state.t, state.position, state.quaternion) if known else None
            )
        if self._grip is None:
            return propagate(state, t, self.motion)
        moved = self._grip.response @ (hand_motion.joints(t) - self._grip.joints)
        return propagate(state, t, self.motion, moved)


def _equal(one: object, other: object) -> bool:
    """Whether two estimates, or parts of them, are equal to the bit.

    They are not compared by identity: those of a filter that was restored from a checkpoint are
    copies, and it must go on as the filter that the checkpoint is of.
    """
    if one is other:
        return True
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return np.array_equal(one, other)
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(_equal, one, other))
    if is_dataclass(one) and type(one) is type(other):
        # The time comes first, and mostly differs.
        return all(_equal(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))
    return one == other
