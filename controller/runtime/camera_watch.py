"""Camera problems, each reported once when it begins and once when it ends."""

import re
from collections.abc import Iterable, Mapping

from inhand.perception.records import CameraStatus

SILENCE = 2.0
"""Time without a status message before a camera process counts as silent [s].

It sends two status messages a second."""
SLOWEST = 5.0
"""Lowest frame rate that is not reported as a problem [Hz]."""
LATEST = 0.3
"""Largest age of a camera's newest frame that is not reported as a problem [s]."""
_PATIENCE_AT_START = 10.0


class CameraWatch:
    """Keeps the last reported problem of each camera.

    Args:
        cameras: names of the cameras.
        start: time at which they were started [s].
    """

    def __init__(self, cameras: Iterable[str], start: float) -> None:
        self._reported = dict.fromkeys(cameras, "")
        self._start = start

    def changes(self, status: Mapping[str, CameraStatus], now: float) -> list[tuple[str, str]]:
        """Cameras whose problem began, changed, or ended (empty text) since the last call.

        Args:
            status: the latest status message of each camera.
            now: current time [s].
        """
        changed = []
        for camera, before in self._reported.items():
            problem = self._problem(status.get(camera), now)
            # Numbers are ignored: no frame for 1.5 s and no frame for 2.0 s are one problem.
            if re.sub(r"[\d.]+", "", problem) != re.sub(r"[\d.]+", "", before):
                changed.append((camera, problem))
                self._reported[camera] = problem
        return changed

    @property
    def problems(self) -> dict[str, str]:
        """The last reported problem of each camera; empty text if it has none."""
        return self._reported.copy()

    def _problem(self, status: CameraStatus | None, now: float) -> str:
        if status is None:
            waited = now - self._start > _PATIENCE_AT_START
            return "its process has not reported yet" if waited else ""
        if now - status.t > SILENCE:
            return f"its process has been silent for {now - status.t:.1f} s"
        if status.problem:
            return status.problem
        if status.frames and status.frame_age > LATEST:
            return f"its frames are {status.frame_age:.2f} s late"
        if status.frames and 0 < status.rate < SLOWEST:
            return f"it delivers only {status.rate:.1f} frames a second"
        return ""
