"""What is wrong with each camera, told once when it begins and once when it ends."""

import re
from collections.abc import Iterable, Mapping

from inhand.perception.records import CameraStatus

SILENCE = 2.0
"""A camera process speaks twice a second; after so long without a word it counts as silent [s]."""
SLOWEST = 5.0
"""Frames a second below which a camera is of little use [Hz]."""
LATEST = 0.3
"""Age of a camera's newest frame from which its pictures come too late to act on [s]."""
_PATIENCE_AT_START = 10.0


class CameraWatch:
    """Remembers what was said about each camera.

    Args:
        cameras: their names.
        start: when they were started [s].
    """

    def __init__(self, cameras: Iterable[str], start: float) -> None:
        self._said = dict.fromkeys(cameras, "")
        self._start = start

    def changes(self, status: Mapping[str, CameraStatus], now: float) -> list[tuple[str, str]]:
        """Cameras whose problem began, became another, or ended (empty) since the last call.

        Args:
            status: the latest sign of life of each.
            now: the present [s].
        """
        changed = []
        for camera, said in self._said.items():
            problem = self._problem(status.get(camera), now)
            # "No frame for 1.5 s" and the same for 2.0 s are one problem.
            if re.sub(r"[\d.]+", "", problem) != re.sub(r"[\d.]+", "", said):
                changed.append((camera, problem))
                self._said[camera] = problem
        return changed

    def _problem(self, status: CameraStatus | None, now: float) -> str:
        if status is None:
            waited = now - self._start > _PATIENCE_AT_START
            return "its process has not reported yet" if waited else ""
        if now - status.t > SILENCE:
            return f"its process has been silent for {now - status.t:.1f} s"
        if status.problem:
            return status.problem
        if status.frames and status.frame_age > LATEST:
            return f"its pictures come {status.frame_age:.2f} s late"
        if status.frames and 0 < status.rate < SLOWEST:
            return f"it gives only {status.rate:.1f} pictures a second"
        return ""
