"""Drop detection: whether the fused pose lies in the hand's workspace."""

from typing import Literal

import numpy as np

from inhand.hardware.model.hand_description import Workspace
from inhand.perception.records import ObjectPose

CONFIRMATION = 0.1
"""How long the object must be outside or inside to count as dropped or returned [s]."""


class DropDetector:
    """Detects when the object leaves the hand and comes back.

    A pose older than `max_age` is ignored: the last verdict stays.

    Attributes:
        in_hand: the last verdict.
    """

    def __init__(self, workspace: Workspace, max_age: float) -> None:
        self.in_hand = False
        self._center = np.array(workspace.center)
        self._radius = workspace.radius
        self._drop_height = workspace.drop_height
        self._max_age = max_age
        self._changed_since: float | None = None

    @property
    def certain(self) -> bool:
        """Whether the object is in the hand and the latest pose agrees."""
        return self.in_hand and self._changed_since is None

    def update(self, t: float, pose: ObjectPose | None) -> Literal["dropped", "returned"] | None:
        """Takes the pose at `t` [s]; returns the verdict if it has changed."""
        if pose is None or pose.age > self._max_age:
            return None
        if self._inside(pose) == self.in_hand:
            self._changed_since = None
            return None
        if self._changed_since is None:
            self._changed_since = t
        if t - self._changed_since < CONFIRMATION - 1e-6:
            return None
        self._changed_since = None
        self.in_hand = not self.in_hand
        return "returned" if self.in_hand else "dropped"

    def _inside(self, pose: ObjectPose) -> bool:
        away = pose.position - self._center
        return bool(away @ away <= self._radius**2 and pose.position[2] >= self._drop_height)
