"""Tags that are seen while the object is not: told once when it begins and once when it ends."""

from collections.abc import Mapping

from inhand.perception.cameras import Camera
from inhand.perception.objects import ObjectDescription
from inhand.perception.pose.misfit import misfit
from inhand.perception.pose.pose import estimate_poses
from inhand.perception.records import ObjectPose, TagCorners

UNSEEN = 0.5
"""Time without a pose after which tags that are seen should have given one [s]."""
LOOKS = 3
"""Looks in a row at which no pose must fit: a finger over a tag spoils one."""
FORGOTTEN = 5.0
"""Time without tags after which a problem is no longer told [s]."""


class FitWatch:
    """Looks now and then at what the cameras saw; nothing is computed while poses come.

    Args:
        description: the object.
        cameras: the rig.

    Attributes:
        problem: why what is seen fits no pose; empty if it does, or nothing is seen.
    """

    def __init__(self, description: ObjectDescription, cameras: Mapping[str, Camera]) -> None:
        self.problem = ""
        self._description, self._cameras = description, cameras
        self._looks = 0
        self._seen = 0.0

    def look(self, frames: Mapping[str, TagCorners], pose: ObjectPose | None, now: float) -> bool:
        """Looks again.

        Args:
            frames: what each camera saw last.
            pose: where the object is believed to be.
            now: the present [s].

        Returns:
            Whether the problem began, or ended.
        """
        before = self.problem
        if pose is not None and pose.age < UNSEEN:
            self._looks, self.problem = 0, ""
            return bool(before)
        instants: dict[float, list[TagCorners]] = {}
        for frame in frames.values():
            if frame.ids and now - frame.t < UNSEEN:
                instants.setdefault(frame.t, []).append(frame)
        if instants:
            self._seen = now
            fits = any(
                estimate_poses(self._description, self._cameras, together)
                for together in instants.values()
            )
            self._looks = 0 if fits else self._looks + 1
            if self._looks == LOOKS and not self.problem:
                most = max(instants.values(), key=lambda each: sum(len(one.ids) for one in each))
                self.problem = misfit(self._description, self._cameras, most)
        elif now - self._seen > FORGOTTEN:
            self._looks, self.problem = 0, ""
        return self.problem != before
