"""Pose filter: fuses tag corners and poses that arrive late and out of order.

The estimate depends only on the input: the same measurements give the same estimate in any order of
arrival within the window. The filter reads no clock. Between measurements the object is predicted
to move with the hand, whose motion the encoders measure without delay.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence

import numpy as np

from inhand.controller.estimation import estimates
from inhand.controller.estimation.camera_vote import CameraVote
from inhand.controller.estimation.eyes_check import EyesCheck
from inhand.controller.estimation.frame_poses import (
    agreed,
    candidates_of,
    measurement_of,
    nearest,
    place_of,
)
from inhand.controller.estimation.hand_motion import HandMotion
from inhand.controller.estimation.outlier_gate import FusionSettings, step
from inhand.controller.estimation.pose_state import HELD, PoseMeasurement, PoseState
from inhand.controller.estimation.prediction import StatePredictor
from inhand.hardware.model.hand import Hand
from inhand.hardware.records import JointState
from inhand.perception.cameras import Camera
from inhand.perception.objects import ObjectDescription
from inhand.perception.pose.pose import estimate_poses
from inhand.perception.records import (
    ConfirmedPose,
    FilterHealth,
    ObjectPose,
    Sighting,
    TagCorners,
)
from inhand.perception.rotations import Array

INSTANT = 1e-6
"""Less than the time between any two frames [s]."""


class PoseFilter:
    """Estimates pose, velocities and covariance of the object from camera measurements.

    Args:
        description: the object and its tags.
        cameras: the rig; empty if only `update_pose` is used.
        settings: of the filter.
        hand: that holds the object; if given, the joints from `note_joints` predict its motion.
    """

    def __init__(
        self,
        description: ObjectDescription,
        cameras: Mapping[str, Camera],
        settings: FusionSettings | None = None,
        hand: Hand | None = None,
    ) -> None:
        self._description = description
        self._cameras = cameras
        self._vote = CameraVote(cameras)
        held = FusionSettings() if hand is None else FusionSettings(motion=HELD)
        self._settings = settings or held
        self._carrier = StatePredictor(
            self._settings.motion, None if hand is None else HandMotion(hand, description)
        )
        self._late = 0
        # Cameras whose latest frame came too late.
        self._slow: tuple[str, ...] = ()
        self._known, self._changed = FilterHealth(), True
        self.reset()

    def reset(self) -> None:
        """Discards the estimate, for instance after a person has moved the object."""
        # The measurements of the window in order of time, the estimate before the first of them,
        # and the estimate after each.
        self._times: list[float] = []
        self._measurements: list[PoseMeasurement] = []
        self._base: PoseState | None = None
        self._states: list[PoseState] = []
        self._frames: dict[float, dict[str, TagCorners]] = {}
        # Frames whose pose by one camera alone is still to be computed, one a tick.
        self._waiting: list[TagCorners] = []
        self._eyes = EyesCheck(self._description)
        self._lagging, self._changed = False, True
        self._sightings: tuple[Sighting, ...] = ()

    @property
    def accepted(self) -> int:
        """Measurements accepted since the last reset."""
        return self._newest.accepted if self._newest else 0

    @property
    def rejected(self) -> int:
        """Measurements rejected by the outlier gate since the last reset."""
        return self._newest.rejected if self._newest else 0

    @property
    def recoveries(self) -> int:
        """Re-initialisations after consistent rejections since the last reset."""
        return self._newest.recoveries if self._newest else 0

    @property
    def late(self) -> int:
        """Measurements that arrived too late to be used, since the start."""
        return self._late

    @property
    def problem(self) -> str:
        """Problem with the latest measurements; empty if there is none."""
        window = self._settings.window
        latest = estimates.problem(self._newest, self._lagging, self._slow, window)
        return latest or self._eyes.problem

    @property
    def health(self) -> FilterHealth:
        """Counts and problems of the measurements; the same object while nothing changes."""
        if self._changed:
            self._changed = False
            self._known = FilterHealth(
                self.accepted,
                self.rejected,
                self.late,
                self.recoveries,
                self.problem,
                self._vote.fits,
            )
        return self._known

    def update(self, *frames: TagCorners) -> None:
        """Adds frames of tag corners.

        Frames of one instant are pooled into one pose, whether they come together or one after
        the other.

        Raises:
            PerceptionError: a frame is of a camera that the rig does not have.
        """
        self._sightings, self._changed = (), True
        self._solve_waiting()
        newest = max((frame.t for frame in frames if frame.seen), default=-np.inf)
        touched = []
        for frame in frames:
            if self._too_late(frame.t, newest, frame.camera):
                continue
            self._frames.setdefault(frame.t, {})[frame.camera] = frame
            if frame.seen and frame.t not in touched:
                touched.append(frame.t)
        touched.sort()
        self._late += len(touched[: -self._settings.repeated])
        touched = touched[-self._settings.repeated :]
        measurements = []
        for t in touched:
            seen = [one for one in self._frames[t].values() if self._vote.used(one.camera)]
            poses, names = agreed(self._description, self._vote.rig, seen, place_of(self._newest))
            if poses:
                measurements.append(PoseMeasurement(t, candidates_of(poses, self._settings), names))
        self._put(measurements)
        for t in touched:
            self._compare(t)
        self._compare_eyes()
        # Frames that show nothing come without end, too.
        horizon = max(self._frames, default=0.0) - self._settings.window
        self._frames = {t: one for t, one in self._frames.items() if t >= horizon}

    def _compare(self, t: float) -> None:
        """Lets the vote compare the cameras that saw the object at `t` [s]."""
        seen = [frame for frame in self._frames.get(t, {}).values() if frame.ids]
        index = self._index(t)
        if len(seen) == 1 and index is not None and self._vote.used(seen[0].camera):
            candidates = self._measurements[index].candidates
            self._vote.note(seen[0].camera, t, nearest(candidates, self._states[index]))
        elif len(seen) == 1 or self._vote.due([frame.camera for frame in seen], t):
            known = {(one.t, one.camera) for one in self._waiting}
            self._waiting += [one for one in seen if (t, one.camera) not in known]
            # At first, cameras are judged soon; later it may take a few ticks.
            while self._waiting and not self._vote.settled:
                self._solve_waiting()

    def _compare_eyes(self) -> None:
        """Compares network and tags at the latest instant of which all frames have come."""
        newest = self._times[-1] if self._times else -np.inf
        t = max((t for t in self._frames if t < newest and self._eyes.due(t)), default=None)
        index = None if t is None else self._index(t)
        if t is None or index is None:
            return
        frames = [one for one in self._frames[t].values() if self._vote.used(one.camera)]
        before = self.predict(t - INSTANT)
        self._changed |= self._eyes.look(
            self._vote.rig, frames, self._measurements[index], before, self._settings
        )

    def _solve_waiting(self) -> None:
        """Computes one of the poses by one camera alone that the vote waits for."""
        if not self._waiting:
            return
        self._changed = True
        frame = self._waiting.pop(0)
        poses = estimate_poses(self._description, self._vote.rig, [frame], place_of(self._newest))
        if poses:
            index = self._index(frame.t)
            state = self._newest if index is None else self._states[index]
            self._vote.note(
                frame.camera, frame.t, nearest(candidates_of(poses, self._settings), state)
            )

    def _index(self, t: float) -> int | None:
        """Index of the measurement at `t` [s]; None if there is none in the window."""
        index = bisect_right(self._times, t) - 1
        return index if index >= 0 and self._times[index] == t else None

    def update_pose(
        self,
        t: float,
        position: Array,
        quaternion: Array,
        sigma_position: float,
        sigma_rotation: float,
        covariance: Array | None = None,
    ) -> None:
        """Adds a pose from another estimator; the arguments are those of `measurement_of`.

        Raises:
            ValueError: a number is not finite, or a deviation not positive.
        """
        deviations = sigma_position, sigma_rotation
        measurement = measurement_of(t, position, quaternion, *deviations, covariance)
        self._changed = True
        if self._too_late(t, t, ""):
            return
        self._put([measurement])

    def note_joints(self, joints: JointState) -> None:
        """Adds joint readings, in order of time, once a tick."""
        self._solve_waiting()
        self._carrier.note(joints)

    def predict(self, t: float) -> ObjectPose | None:
        """The pose at `t` [s]; None before the first measurement of the window or ever.

        For a time within the window, the estimate at that time.
        """
        index = bisect_right(self._times, t)
        state = self._states[index - 1] if index else self._base
        if state is None or t < state.t:
            return None
        return estimates.object_pose(state, t, self._carrier)

    def confirmed(self, since: float) -> tuple[ConfirmedPose, ...]:
        """Estimates at the capture times of accepted measurements, oldest first.

        Unlike `predict`, this extrapolates nothing. An estimate may change while older frames
        arrive late.

        Args:
            since: only measurements captured later than this [s]; at most those of the window.
        """
        first = bisect_right(self._times, since)
        return estimates.confirmed_poses(self._states[first:])

    def sightings(self) -> tuple[Sighting, ...]:
        """Where the measurements of the last update showed the object, oldest first."""
        return self._sightings

    @property
    def _newest(self) -> PoseState | None:
        return self._states[-1] if self._states else self._base

    def _too_late(self, t: float, newest: float, camera: str) -> bool:
        """Whether a measurement comes too late; it is counted then.

        Args:
            t: when it was captured [s].
            newest: capture time of the newest that came with it [s].
            camera: what saw it; empty for a pose from elsewhere.
        """
        known = self._times[-1] if self._times else -np.inf
        # What is a window old or older is part of the estimate before the window.
        self._lagging = t <= max(known, newest) - self._settings.window or (
            len(self._times) - bisect_right(self._times, t) > self._settings.repeated
        )
        self._late += self._lagging
        if camera and self._lagging != (camera in self._slow):
            rest = tuple(name for name in self._slow if name != camera)
            self._slow = (*rest, camera) if self._lagging else rest
        return self._lagging

    def _put(self, measurements: Sequence[PoseMeasurement]) -> None:
        """Inserts measurements in order of time, and repeats the steps after the first of them."""
        if not measurements:
            return
        first = len(self._times)
        for measurement in measurements:
            index = bisect_right(self._times, measurement.t)
            if index and self._times[index - 1] == measurement.t:
                # More frames of the same instant have come: the pose of all replaces that of some.
                index -= 1
                self._measurements[index] = measurement
            else:
                self._times.insert(index, measurement.t)
                self._measurements.insert(index, measurement)
            first = min(first, index)
        del self._states[first:]
        for later in self._measurements[first:]:
            before = self._states[-1] if self._states else self._base
            self._states.append(step(before, later, self._settings, self._carrier))
        self._sightings += tuple(
            estimates.sighting(one, self._states[bisect_right(self._times, one.t) - 1])
            for one in measurements
        )
        self._prune()

    def _prune(self) -> None:
        """Discards measurements older than the window."""
        keep = bisect_right(self._times, self._times[-1] - self._settings.window)
        if keep:
            self._base = self._states[keep - 1]
            del self._times[:keep], self._measurements[:keep], self._states[:keep]
