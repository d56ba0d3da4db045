"""Takes what the cameras of a simulated hand send, at the tick for which it is due."""

from collections.abc import Callable, Collection
from pathlib import Path
from time import monotonic

from inhand.controller.runtime.camera_inbox import CameraInbox
from inhand.perception.records import TagCorners
from inhand.perception.simulated_time import CAMERA_LATENCY, picture_number

PATIENCE = 10.0
"""Real time that a camera is waited for before it counts as gone, until it is heard again [s]."""
PATIENCE_AT_START = 60.0
"""The same before it was heard at all [s]."""

_LOOK = 0.05


class TimedCameras(CameraInbox):
    """See `CameraInbox`; time stands still until the pictures that are due have come.

    Args:
        directory: where the socket is made.
        cameras: of the rig.
        now: gives the present simulated time [s].
        given_up: asked while it waits, whether to wait no longer.
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
        """What is due now, in the order of time and then of names."""
        now = self._now()
        self._wait(picture_number(now - CAMERA_LATENCY))
        due = [one for one in self._held if one.t + CAMERA_LATENCY <= now + 1e-6]
        self._held = [one for one in self._held if one.t + CAMERA_LATENCY > now + 1e-6]
        return sorted(due, key=lambda one: (one.t, one.camera))

    def wait_for_all(self) -> None:
        """Waits until each camera has sent its first picture."""
        self._wait(0)

    def forget(self, camera: str) -> None:
        # The tick's thread looks at it; a list's own operations need no lock.
        self._ended.append(camera)

    def _wait(self, number: int) -> None:
        """Waits until all cameras that are awaited have sent a picture of this number."""
        began = monotonic()
        while True:
            for corners in super().take():
                camera, here = corners.camera, picture_number(corners.t + 1e-6)
                # What is waited for may come more than once.
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
            self._socket.poll(int(1000 * _LOOK))
