"""Outlier gate: Mahalanobis test; re-initialises after consistent rejections."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from inhand.controller.estimation.pose_state import (
    MotionModel,
    PoseCandidate,
    PoseMeasurement,
    PoseState,
    correct,
    distance,
    initial,
)
from inhand.controller.estimation.prediction import StatePredictor
from inhand.perception import rotations


@dataclass(frozen=True)
class FusionSettings:
    """Settings of the filter.

    Attributes:
        motion: how the object moves.
        position_sigma: standard deviation of a position from camera calibration errors [m].
        rotation_sigma: the same in a rotation [rad].
        window: how late a measurement may arrive and still be used [s].
        gate: squared Mahalanobis distance above which a pose is rejected. It is well above 22.5,
            the 99.9 % quantile of chi-square with 6 degrees of freedom, because contact moves an
            object irregularly: its fourth moment is four times that of a Gaussian.
        jump: a pose further than this from the prediction is always rejected [m]: during an
            occlusion the covariance grows until the gate would accept any pose.
        turn: the same for the angle [rad].
        recovery: number of consecutive rejected measurements, each consistent with the one
            before, from which the filter re-initialises when it has accepted none for
            `recovery_age`.
        recovery_age: for a pose nearer than `jump`, or seen by several cameras [s].
        distant_recovery_age: for a larger jump that only one camera has seen [s].
    """

    motion: MotionModel = field(default_factory=MotionModel)
    position_sigma: float = 0.0002
    rotation_sigma: float = 0.002
    window: float = 0.5
    gate: float = 50.0
    jump: float = 0.05
    turn: float = 1.5
    recovery: int = 3
    recovery_age: float = 0.15
    distant_recovery_age: float = 0.6


def step(
    state: PoseState | None,
    measurement: PoseMeasurement,
    settings: FusionSettings,
    carrier: StatePredictor,
) -> PoseState:
    """The estimate after one more measurement.

    Args:
        state: the estimate before; None if there is none.
        measurement: not older than the estimate.
        settings: of the filter.
        carrier: predicts the estimate at the measurement's time.
    """
    if state is None:
        return initial(measurement, settings.motion)
    state = carrier.ahead(state, measurement.t)
    distances = [distance(state, candidate) for candidate in measurement.candidates]
    best = measurement.candidates[int(np.argmin(distances))]
    if min(distances) <= settings.gate and _near(state, best, settings):
        return correct(state, best)
    refused = (*state.refused, measurement)[-settings.recovery :]
    found = _recovered(state, refused, settings, carrier)
    if found is not None:
        return replace(
            found,
            accepted=state.accepted + 1,
            rejected=state.rejected,
            recoveries=state.recoveries + 1,
        )
    return replace(state, refused=refused, rejected=state.rejected + 1)


def _recovered(
    state: PoseState,
    refused: Sequence[PoseMeasurement],
    settings: FusionSettings,
    carrier: StatePredictor,
) -> PoseState | None:
    """The estimate from rejected measurements alone; None if they are few or inconsistent."""
    if len(refused) < settings.recovery:
        return None
    # One camera can be wrong for long: it may see a reflection, or a tag on another thing.
    doubtful = any(
        one.candidates[0].cameras == 1
        and float(np.linalg.norm(one.candidates[0].position - state.position)) > settings.jump
        for one in refused
    )
    patience = settings.distant_recovery_age if doubtful else settings.recovery_age
    if state.t - state.measured < patience:
        return None
    found = initial(refused[0], settings.motion)
    for later in refused[1:]:
        found = carrier.ahead(found, later.t)
        distances = [distance(found, candidate) for candidate in later.candidates]
        if min(distances) > settings.gate:
            return None
        found = correct(found, later.candidates[int(np.argmin(distances))])
    return found


def _near(state: PoseState, candidate: PoseCandidate, settings: FusionSettings) -> bool:
    """Whether the candidate is within `jump` and `turn` of the prediction."""
    shift = float(np.linalg.norm(candidate.position - state.position))
    turn = float(rotations.angle_between(candidate.quaternion, state.quaternion))
    return shift <= settings.jump and turn <= settings.turn
