"""Health of a camera: frame rate, age of the newest frame, and problems."""

from dataclasses import dataclass, field

from inhand.perception.records import CameraStatus
from inhand.perception.tags import Image

FRAME_TIMEOUT = 1.0
"""Time without a frame after which the camera has a problem [s]."""

DARK, BRIGHT = 16, 240
"""A frame whose pixels are all below `DARK` is black: lens cap, no light, or no signal. A frame
whose pixels are all above `BRIGHT` is overexposed."""


@dataclass
class CameraHealth:
    """Statistics of one camera. Times are arguments, no clock is read.

    Attributes:
        camera: name of the camera.
        start: time at which the process started to read [s].
        frames: number of frames so far.
        problem: what is wrong; empty if nothing is.
        note: see `CameraStatus`.
        eyes: see `CameraStatus`.
    """

    camera: str
    start: float
    frames: int = 0
    problem: str = ""
    note: str = ""
    eyes: str = "tags"
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
        """The heartbeat at `now` [s]; resets the statistics of rate and detection time."""
        period = now - max(self._since, self.start)
        status = CameraStatus(
            t=now,
            camera=self.camera,
            frames=self.frames,
            frame_age=now - self._newest,
            rate=self._counted / period if period > 0 else 0.0,
            detection_time=self._spent / self._counted if self._counted else 0.0,
            problem=self.problem,
            note=self.note,
            eyes=self.eyes,
        )
        self._since, self._counted, self._spent = now, 0, 0.0
        return status


def flaw(image: Image) -> str:
    """Why an image is unusable; empty if it is not black or white."""
    if int(image.max(initial=0)) < DARK:
        return "the frame is black; is the lens covered, or the light off?"
    if int(image.min(initial=255)) > BRIGHT:
        return "the frame is white; shorten the exposure"
    return ""
