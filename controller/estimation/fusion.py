"""Pose filter: fuses tag corners and poses that arrive late and out of order.

The estimate depends only on the input: the same measurements give the same estimate in any order of
arrival within the window. The filter reads no clock. Between measurements the object is predicted
to move with the hand, whose motion the encoders measure without delay.
"""

from bisect import bisect_right, insort
from collections.abc import Mapping

import numpy as np

from inhand.controller.estimation.hand_motion import HandMotion
from inhand.controller.estimation.outlier_gate import FusionSettings, step
from inhand.controller.estimation.pose_state import HELD, PoseCandidate, PoseMeasurement, PoseState
from inhand.controller.estimation.prediction import StatePredictor
from inhand.hardware.model.hand import Hand
from inhand.hardware.records import JointState
from inhand.perception import rotations
from inhand.perception.cameras import Camera
from inhand.perception.objects import ObjectDescription
from inhand.perception.pose.pose import estimate_poses
from inhand.perception.records import ObjectPose, TagCorners, frozen_array
from inhand.perception.rotations import Array


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
        held = FusionSettings() if hand is None else FusionSettings(motion=HELD)
        self._settings = settings or held
        self._carrier = StatePredictor(
            self._settings.motion, None if hand is None else HandMotion(hand, description)
        )
        self._late = 0
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
        self._lagging = False

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
        if self._newest is None:
            return "no camera has seen the object yet"
        if self._lagging:
            return (
                f"a camera's frames come more than {self._settings.window:g} s after the others'; "
                "is it slow, or its clock another one?"
            )
        if self._newest.refused:
            return (
                "what the cameras see does not follow from the poses before: the object was moved "
                "by hand, or a camera sees something else"
            )
        return ""

    def update(self, *frames: TagCorners) -> None:
        """Adds frames of tag corners.

        Frames of one instant are pooled into one pose, whether they come together or one after
        the other.

        Raises:
            PerceptionError: a frame is of a camera that the rig does not have.
        """
        touched = []
        for frame in frames:
            if self._too_late(frame.t):
                continue
            self._frames.setdefault(frame.t, {})[frame.camera] = frame
            if frame.ids and frame.t not in touched:
                touched.append(frame.t)
        for t in sorted(touched):
            poses = estimate_poses(self._description, self._cameras, self._frames[t].values())
            floor = np.repeat(
                [self._settings.position_sigma**2, self._settings.rotation_sigma**2], 3
            )
            candidates = tuple(
                PoseCandidate(
                    pose.position, pose.quaternion, pose.covariance + np.diag(floor), pose.cameras
                )
                for pose in poses
            )
            if candidates:
                self._put(PoseMeasurement(t, candidates))

    def update_pose(
        self,
        t: float,
        position: Array,
        quaternion: Array,
        sigma_position: float,
        sigma_rotation: float,
    ) -> None:
        """Adds a pose from another estimator.

        Args:
            t: when it was true [s].
            position: world frame [m], (3,).
            quaternion: world from object, wxyz, (4,).
            sigma_position: standard deviation of a component [m].
            sigma_rotation: standard deviation of a component [rad].

        Raises:
            ValueError: a number is not finite, or a deviation not positive.
        """
        place = np.array(position, dtype=np.float64)
        turn = np.array(quaternion, dtype=np.float64)
        finite = np.isfinite(np.concatenate([[t], place, turn])).all()
        if not finite or not sigma_position > 0 or not sigma_rotation > 0:
            raise ValueError(
                f"pose measurement at t={t}: position {place}, quaternion {turn} and deviations "
                f"{sigma_position}, {sigma_rotation} must be finite, the deviations positive"
            )
        if self._too_late(t):
            return
        covariance = np.diag(np.repeat([sigma_position**2, sigma_rotation**2], 3))
        candidate = PoseCandidate(place, rotations.normalize(turn), covariance)
        self._put(PoseMeasurement(t, (candidate,)))

    def note_joints(self, joints: JointState) -> None:
        """Adds joint readings, in order of time."""
        self._carrier.note(joints)

    def predict(self, t: float) -> ObjectPose | None:
        """The pose at `t` [s]; None before the first measurement of the window or ever.

        For a time within the window, the estimate at that time.
        """
        index = bisect_right(self._times, t)
        state = self._states[index - 1] if index else self._base
        if state is None or t < state.t:
            return None
        ahead = self._carrier.ahead(state, t)
        carried = self._carrier.velocity(t)
        return ObjectPose(
            t=t,
            position=frozen_array(ahead.position),
            quaternion=frozen_array(ahead.quaternion),
            linear_velocity=frozen_array(ahead.linear_velocity + carried[:3]),
            angular_velocity=frozen_array(ahead.angular_velocity + carried[3:]),
            covariance=frozen_array(ahead.covariance),
            age=t - ahead.measured,
        )

    @property
    def _newest(self) -> PoseState | None:
        return self._states[-1] if self._states else self._base

    def _too_late(self, t: float) -> bool:
        self._lagging = bool(self._times) and t < self._times[-1] - self._settings.window
        self._late += self._lagging
        return self._lagging

    def _put(self, measurement: PoseMeasurement) -> None:
        """Inserts a measurement in order of time, and repeats the steps after it."""
        t = measurement.t
        index = bisect_right(self._times, t)
        if index and self._times[index - 1] == t:
            # More frames of the same instant have come: the pose of all replaces that of some.
            index -= 1
            self._measurements[index] = measurement
        else:
            insort(self._times, t)
            self._measurements.insert(index, measurement)
        del self._states[index:]
        for later in self._measurements[index:]:
            before = self._states[-1] if self._states else self._base
            self._states.append(step(before, later, self._settings, self._carrier))
        self._prune()

    def _prune(self) -> None:
        """Discards measurements older than the window."""
        horizon = self._times[-1] - self._settings.window
        keep = bisect_right(self._times, horizon)
        if keep:
            self._base = self._states[keep - 1]
            del self._times[:keep], self._measurements[:keep], self._states[:keep]
        for t in [t for t in self._frames if t < horizon]:
            del self._frames[t]
