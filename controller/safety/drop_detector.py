"""Drop detection: whether the object is in the hand's workspace."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from inhand.hardware.model.hand_description import Workspace
from inhand.perception.records import ObjectPose, Sighting
from inhand.perception.rotations import Array

CONFIRMATION = 0.1
"""How long the object must be outside or inside to count as dropped or returned [s]."""

MARGIN = 0.02
"""Beyond the workspace by this much, two sightings are enough without waiting [m]."""

FALL = 0.04
"""A rejected measurement this much lower than the last accepted one may be a fall [m]."""


class DropDetector:
    """Detects when the object leaves the hand and comes back.

    It decides by the fused pose, and by measurements that the pose filter rejected: the filter's
    motion model is that of a held object, so it rejects a falling one. A pose older than `max_age`
    is ignored.

    Args:
        workspace: where the object is in the hand.
        max_age: up to which age a pose counts [s].
        lost: after this time without a pose, the object does not count as in the hand [s].

    Attributes:
        in_hand: the last verdict.
    """

    def __init__(self, workspace: Workspace, max_age: float, lost: float = np.inf) -> None:
        self.in_hand = False
        self._center = np.array(workspace.center)
        self._radius = workspace.radius
        self._drop_height = workspace.drop_height
        self._max_age = max_age
        self._lost = lost
        self._changed_since: float | None = None
        # Measurements since the last accepted one inside that speak for a drop: capture time, and
        # number of cameras that see it clearly outside.
        self._outside: list[tuple[float, int]] = []
        self._last_inside = np.inf
        # Capture time of the last measurement outside: older poses are no evidence of a return.
        self._left = -np.inf
        self._fresh = False

    @property
    def certain(self) -> bool:
        """Whether the object is in the hand, a recent pose agrees, and no measurement differs."""
        return self.in_hand and self._fresh and self._changed_since is None and not self._outside

    def allow(self, max_age: float) -> None:
        """From now on a pose counts up to this age [s]."""
        self._max_age = max_age

    def note(self, sightings: Sequence[Sighting]) -> None:
        """Takes where the newest measurements showed the object, accepted or not."""
        for one in sightings:
            inside = self._inside(one.position)
            if one.accepted and inside:
                self._outside.clear()
                self._last_inside = float(one.position[2])
            elif not inside:
                clearly = not self._inside(one.position, MARGIN)
                self._outside.append((one.t, clearly * one.cameras))
                self._left = max(self._left, one.t)
            elif self._last_inside - one.position[2] > FALL:
                self._outside.append((one.t, 0))

    def update(self, t: float, pose: ObjectPose | None) -> Literal["dropped", "returned"] | None:
        """Takes the pose at `t` [s]; returns the verdict if it has changed."""
        self._outside = [one for one in self._outside if t - one[0] <= 2 * self._max_age]
        self._fresh = pose is not None and pose.age <= self._max_age
        if self.in_hand and self._fallen(t, pose):
            self._outside.clear()
            return self._change()
        if pose is None or not self._fresh:
            # A verdict is confirmed by poses without a gap.
            self._changed_since = None
            if pose is not None and pose.age > self._lost:
                self.in_hand = False
            return None
        inside = self._inside(pose.position)
        if inside == self.in_hand or (inside and t - pose.age <= self._left):
            self._changed_since = None
            return None
        if self._changed_since is None:
            self._changed_since = t
        if t - self._changed_since < CONFIRMATION - 1e-6:
            return None
        return self._change()

    def _change(self) -> Literal["dropped", "returned"]:
        self._changed_since = None
        self.in_hand = not self.in_hand
        return "returned" if self.in_hand else "dropped"

    def _fallen(self, t: float, pose: ObjectPose | None) -> bool:
        """Whether two cameras or frames see it clearly outside, or it is unseen since one did."""
        if sum(cameras for _, cameras in self._outside) > 1:
            return True
        unseen = bool(self._outside) and t - self._outside[-1][0] > self._max_age
        return unseen and (pose is None or not self._fresh)

    def _inside(self, position: Array, margin: float = 0.0) -> bool:
        away = position - self._center
        near = away @ away <= (self._radius + margin) ** 2
        return bool(near and position[2] >= self._drop_height - margin)
