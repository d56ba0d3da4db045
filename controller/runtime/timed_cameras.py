"""Receives detections in simulated time; each is delivered at the tick at which it is due."""

from collections.abc import Callable, Collection
from pathlib import Path
from time import monotonic

from inhand.controller.runtime.camera_inbox import CameraInbox
from inhand.perception.records import TagCorners
from inhand.perception.simulated_time import CAMERA_LATENCY, picture_number

PATIENCE = 10.0
"""Real time to wait for a camera; after that it counts as lost until it sends again [s]."""
PATIENCE_AT_START = 60.0
"""The same before the first message of a camera [s]."""

_POLL_PERIOD = 0.05


class TimedCameras(CameraInbox):
    """A `CameraInbox` that waits, without advancing simulated time, for the frames that are due.

    Args:
        directory: where the socket is made.
        cameras: names of the rig's cameras.
        now: returns the current simulated time [s].
        given_up: called while waiting; true ends the wait.
    """

    def __init__(
        self,
        directory: Path,
        cameras: Collection[str],
        now: Callable[[], float],
        given_up: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(directory, cameras)
        self._now, self._given_up = now, given_up
        self._awaited = dict.fromkeys(self.cameras, PATIENCE_AT_START)
        self._newest = dict.fromkeys(self.cameras, -1)
        self._held: list[TagCorners] = []
        self._ended: list[str] = []

    def take(self) -> list[TagCorners]:
        """The detections that are due now, sorted by time and then by camera name."""
        now = self._now()
        self._wait(picture_number(now - CAMERA_LATENCY))
        due = [one for one in self._held if one.t + CAMERA_LATENCY <= now + 1e-6]
        self._held = [one for one in self._held if one.t + CAMERA_LATENCY > now + 1e-6]
        return sorted(due, key=lambda one: (one.t, one.camera))

    def wait_for_all(self) -> None:
        """Waits until each camera has processed its first frame."""
        self._wait(0)

    def forget(self, camera: str) -> None:
        # The tick's thread reads this list; single list operations are atomic and need no lock.
        self._ended.append(camera)

    def _wait(self, number: int) -> None:
        """Waits until all cameras that are still expected have sent the frame with this number."""
        began = monotonic()
        while True:
            for corners in super().take():
                camera, here = corners.camera, picture_number(corners.t + 1e-6)
                # A camera may send the same frame more than once.
                if here > self._newest[camera]:
                    self._held.append(corners)
                    self._newest[camera] = here
                self._awaited[camera] = PATIENCE
            while self._ended:
                self._awaited.pop(self._ended.pop(), None)
            missing = [name for name in self._awaited if self._newest[name] < number]
            waited = monotonic() - began
            for name in missing:
                if waited > self._awaited[name]:
                    del self._awaited[name]
            if not any(name in self._awaited for name in missing) or self._given_up():
                return
            self._socket.poll(int(1000 * _POLL_PERIOD))
