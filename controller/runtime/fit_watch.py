"""Reports tags that are detected but fit no pose of the object, once when it begins and ends."""

from collections.abc import Mapping

from inhand.perception.cameras import Camera
from inhand.perception.objects import ObjectDescription
from inhand.perception.pose.misfit import misfit
from inhand.perception.pose.pose import estimate_poses
from inhand.perception.records import ObjectPose, TagCorners

UNSEEN = 0.5
"""Time without a pose after which detected tags are checked [s]."""
LOOKS = 3
"""Checks in a row without a fitting pose before a problem is reported.

A finger over a tag can make a single check fail.
"""
FORGOTTEN = 5.0
"""Time without tags after which a reported problem ends [s]."""


class FitWatch:
    """Checks whether the latest detections fit a pose; computes nothing while poses are measured.

    Args:
        description: the object.
        cameras: the rig.

    Attributes:
        problem: why the detections fit no pose; empty if they do, or if there are none.
    """

    def __init__(self, description: ObjectDescription, cameras: Mapping[str, Camera]) -> None:
        self.problem = ""
        self._description, self._cameras = description, cameras
        self._misses = 0
        self._seen = 0.0

    def look(self, frames: Mapping[str, TagCorners], pose: ObjectPose | None, now: float) -> bool:
        """Checks the latest detections.

        Args:
            frames: latest detections of each camera.
            pose: latest pose estimate of the object.
            now: current time [s].

        Returns:
            Whether a problem began or ended.
        """
        before = self.problem
        if pose is not None and pose.age < UNSEEN:
            self._misses, self.problem = 0, ""
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
            self._misses = 0 if fits else self._misses + 1
            if self._misses == LOOKS and not self.problem:
                most = max(instants.values(), key=lambda each: sum(len(one.ids) for one in each))
                self.problem = misfit(self._description, self._cameras, most)
        elif now - self._seen > FORGOTTEN:
            self._misses, self.problem = 0, ""
        return self.problem != before
