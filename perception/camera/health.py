"""What a camera process says about itself and its pictures."""

from dataclasses import dataclass, field

from inhand.perception.records import CameraStatus
from inhand.perception.tags import Image

FRAME_TIMEOUT = 1.0
"""Without a frame for this long, the camera counts as silent [s]."""

DARK, BRIGHT = 16, 240
"""A frame with no pixel brighter than the one is black: lens cap, no light, or no signal; with
none darker than the other it is overexposed."""


@dataclass
class CameraHealth:
    """What a camera process says about itself. Times are given, never read from a clock.

    Attributes:
        camera: name of the camera.
        start: when the process began to read [s].
    """

    camera: str
    start: float
    frames: int = 0
    problem: str = ""
    _newest: float = field(default=-float("inf"))
    _counted: int = 0
    _spent: float = 0.0
    _since: float = field(default=-float("inf"))

    def frame(self, t: float, spent: float, problem: str) -> None:
        """Counts a frame captured at `t` that took `spent` seconds to process."""
        if t <= self._newest:
            problem = (
                problem or f"frame time stamps do not advance: {t:.6f} after {self._newest:.6f}"
            )
        self._newest = max(t, self._newest)
        self.frames += 1
        self._counted += 1
        self._spent += spent
        self.problem = problem

    def silence(self, now: float) -> None:
        """Notes that no frame came."""
        quiet = now - max(self._newest, self.start)
        if quiet > FRAME_TIMEOUT:
            self.problem = f"no frame for {quiet:.1f} s; is the camera connected and its source up?"

    def status(self, now: float) -> CameraStatus:
        """The sign of life at `now`; rate and time a frame start anew from here."""
        period = now - max(self._since, self.start)
        status = CameraStatus(
            t=now,
            camera=self.camera,
            frames=self.frames,
            frame_age=now - self._newest,
            rate=self._counted / period if period > 0 else 0.0,
            detection_time=self._spent / self._counted if self._counted else 0.0,
            problem=self.problem,
        )
        self._since, self._counted, self._spent = now, 0, 0.0
        return status


def flaw(image: Image) -> str:
    """Why there is nothing to see on a picture; empty if there may be."""
    if int(image.max(initial=0)) < DARK:
        return "the frame is black; is the lens covered, or the light off?"
    if int(image.min(initial=255)) > BRIGHT:
        return "the frame is white; shorten the exposure"
    return ""
