"""Measurements of one instant as the pose filter takes them: from frames, or from elsewhere."""

from collections.abc import Mapping, Sequence

import numpy as np

from inhand.controller.estimation.outlier_gate import FusionSettings
from inhand.controller.estimation.pose_state import PoseCandidate, PoseMeasurement, PoseState
from inhand.perception import rotations
from inhand.perception.cameras import Camera
from inhand.perception.objects import ObjectDescription
from inhand.perception.pose.pose import WELL, PoseEstimate, estimate_poses
from inhand.perception.pose.refine_pose import Pose
from inhand.perception.records import TagCorners
from inhand.perception.rotations import Array


def agreed(
    description: ObjectDescription,
    rig: Mapping[str, Camera],
    frames: Sequence[TagCorners],
    guess: Pose | None,
) -> tuple[Sequence[PoseEstimate], tuple[str, ...]]:
    """The poses of frames of one instant.

    If no pose fits all frames well, and one fits those of all cameras but one, it is that one.

    Args:
        description: the object.
        rig: the cameras.
        frames: of one instant.
        guess: where the object may be.

    Returns:
        poses: the best first; empty if none fits.
        names: of the cameras that agree on them.
    """
    seen = [frame for frame in frames if frame.seen]
    poses = estimate_poses(description, rig, seen, guess)
    names = tuple(frame.camera for frame in seen)
    misfit = _misfit(poses)
    if misfit <= WELL or len(seen) < 3:
        return poses, names
    for left_out in seen:
        rest = [frame for frame in seen if frame is not left_out]
        found = estimate_poses(description, rig, rest, guess)
        if _misfit(found) < min(0.5 * misfit, _misfit(poses)):
            poses, names = found, tuple(frame.camera for frame in rest)
    return poses, names


def candidates_of(
    poses: Sequence[PoseEstimate], settings: FusionSettings
) -> tuple[PoseCandidate, ...]:
    """The poses as candidates of a measurement, with the least deviations of the settings."""
    sigmas = settings.position_sigma, settings.rotation_sigma
    floor = np.diag(np.repeat(np.square(sigmas), 3))
    return tuple(
        PoseCandidate(
            pose.position,
            pose.quaternion,
            pose.covariance + floor,
            pose.cameras,
            pose.sensitivity,
        )
        for pose in poses
    )


def measurement_of(
    t: float,
    position: Array,
    quaternion: Array,
    sigma_position: float,
    sigma_rotation: float,
    covariance: Array | None = None,
) -> PoseMeasurement:
    """A pose from another estimator as a measurement.

    Args:
        t: when it was true [s].
        position: world frame [m], (3,).
        quaternion: world from object, wxyz, (4,).
        sigma_position: standard deviation of a component [m].
        sigma_rotation: standard deviation of a component [rad].
        covariance: of position and world rotation, (6, 6) [m, rad], in place of the deviations.

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
    if covariance is None:
        covariance = np.diag(np.repeat([sigma_position**2, sigma_rotation**2], 3))
    candidate = PoseCandidate(place, rotations.normalize(turn), covariance)
    return PoseMeasurement(t, (candidate,))


def nearest(candidates: Sequence[PoseCandidate], state: PoseState | None) -> PoseCandidate:
    """The candidate whose orientation is nearest to the estimate."""
    if state is None or len(candidates) == 1:
        return candidates[0]
    return min(
        candidates, key=lambda one: float(rotations.angle_between(one.quaternion, state.quaternion))
    )


def place_of(state: PoseState | None) -> Pose | None:
    """Where an estimate shows the object, as a guess for the next pose."""
    return None if state is None else (state.position, rotations.to_matrix(state.quaternion))


def _misfit(poses: Sequence[PoseEstimate]) -> float:
    """Cost of the best pose a corner; infinite without a pose."""
    return poses[0].cost / poses[0].corners if poses else np.inf
