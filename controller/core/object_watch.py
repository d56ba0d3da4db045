"""The object: its fused pose, and whether it is in the hand."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Generic, Literal, Protocol, TypeVar

from inhand.controller.config.settings import ControlSettings
from inhand.controller.core.interfaces import PoseSource
from inhand.controller.core.success import LONGEST_GAP
from inhand.controller.errors import RefusedError
from inhand.controller.safety.drop_detector import DropDetector
from inhand.controller.safety.modes import Request
from inhand.controller.safety.pose_timing import PoseTiming
from inhand.hardware.model.hand import Hand
from inhand.hardware.records import JointState
from inhand.perception.records import CameraFit, ConfirmedPose, FilterHealth, ObjectPose

_INSTANT = 1e-9
"""Less than the time between any two frames [s]."""


class Timed(Protocol):
    """A measurement with its capture time [s]."""

    @property
    def t(self) -> float: ...


Measurement = TypeVar("Measurement", bound=Timed)

TURN, SHIFT = 0.01, 0.005
"""Least change of a moved camera's turn [rad] and shift [m] that is told."""


class ObjectWatch(Generic[Measurement]):
    """Fuses measurements, and notices when the object is dropped and when it is back.

    Args:
        pose_source: fuses measurements into a pose.
        hand: in whose workspace the object is to be.
        settings: up to which age the pose is extrapolated.

    Attributes:
        pose: where the object is; None if it was never seen.
        frames: estimates at the capture times of the frames that came with the last `take`, and
            of those captured after the first of them, oldest first.
        dropped: how often it was dropped.
    """

    def __init__(
        self, pose_source: PoseSource[Measurement], hand: Hand, settings: ControlSettings
    ) -> None:
        self.pose: ObjectPose | None = None
        self.frames: tuple[ConfirmedPose, ...] = ()
        self.dropped = 0
        self._pose_source = pose_source
        safety = settings.safety
        self._max_age = safety.predict
        self._timing = PoseTiming(safety.predict)
        self._drop_detector = DropDetector(hand.workspace, self._max_age, safety.pose_lost)
        self._fits: tuple[CameraFit, ...] = ()
        self._told: tuple[CameraFit, ...] = ()

    @property
    def in_hand(self) -> bool:
        """Whether the object is in the hand."""
        return self._drop_detector.in_hand

    @property
    def certain(self) -> bool:
        """Whether it is in the hand and the latest pose agrees."""
        return self._drop_detector.certain

    @property
    def health(self) -> FilterHealth:
        """Counts and problems of the measurements."""
        health, interval = self._pose_source.health, self._timing.interval
        if interval <= LONGEST_GAP or health.problem:
            return health
        problem = (
            f"new poses come less often than every {LONGEST_GAP:g} s: a goal with a hold time is "
            "never reached; use faster cameras, or goals without a hold time"
        )
        return replace(health, problem=problem)

    @property
    def old(self) -> bool:
        """Whether the pose is too old for a hand in motion, or there is none."""
        return self.unseen_for(self._max_age)

    def moved(self) -> list[CameraFit]:
        """Cameras whose problem is another one than at the last call."""
        fits, before = self._pose_source.health.cameras, self._fits
        if fits is before:
            return []
        self._fits = fits
        known = {fit.camera: fit for fit in self._told}
        changed = [fit for fit in fits if _differs(fit, known.get(fit.camera))]
        rest = (fit for fit in self._told if fit.camera not in {one.camera for one in changed})
        self._told = (*rest, *changed)
        return changed

    def unseen_for(self, seconds: float) -> bool:
        """Whether the object was last seen longer ago than this, or never."""
        return self.pose is None or self.pose.age > seconds

    def note_joints(self, joints: JointState) -> None:
        """Takes what the servos measured, in order of time: the fingers move the object."""
        self._pose_source.note_joints(joints)

    def take(self, t: float, measurements: Sequence[Measurement]) -> None:
        """Takes what was measured since the last tick, and extrapolates the pose to `t` [s]."""
        self.frames = ()
        if measurements:
            self._pose_source.update(*measurements)
            self._drop_detector.note(self._pose_source.sightings())
            earliest = min(measurement.t for measurement in measurements)
            self.frames = self._pose_source.confirmed(earliest - _INSTANT)
        self.pose = self._pose_source.predict(t)
        self._timing.note(t, self.pose)
        self._max_age = self._timing.limit
        self._drop_detector.allow(self._max_age)

    def change(self, t: float) -> Literal["dropped", "returned"] | None:
        """Whether the object has left the hand or come back, as found at `t` [s]."""
        change = self._drop_detector.update(t, self.pose)
        self.dropped += change == "dropped"
        return change

    def require(self, request: Request) -> None:
        """Raises RefusedError if the object was not seen lately or is not in the hand."""
        problem = ""
        if self.pose is None or self.old:
            age = "never" if self.pose is None else f"{self.pose.age:.1f} s ago"
            problem = f"the object was last seen {age}; check the cameras and the light"
        elif not self.in_hand:
            where = ", ".join(f"{x:.3f}" for x in self.pose.position)
            problem = f"the object is not in the hand (seen at {where} m); put it in"
        if problem:
            raise RefusedError("not_ready", f"{request.value}: {problem}")


def _differs(fit: CameraFit, told: CameraFit | None) -> bool:
    """Whether a camera has another problem than was told, by more than the errors of both."""
    if told is None or not told.problem or not fit.problem:
        return bool(fit.problem) != bool(told and told.problem)
    moved = abs(fit.turn - told.turn) > TURN or abs(fit.shift - told.shift) > SHIFT
    return moved or fit.used != told.used or fit.against != told.against


def moved_camera(fit: CameraFit) -> dict[str, object]:
    """The members of the event `camera_moved`."""
    return {
        "camera": fit.camera,
        "problem": fit.problem,
        "turn": fit.turn,
        "shift": fit.shift,
        "used": fit.used,
    }
