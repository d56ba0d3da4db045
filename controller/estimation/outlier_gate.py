"""Outlier gate: Mahalanobis test; re-initialises after consistent rejections."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from inhand.controller.estimation.pose_correction import Innovation, correct, innovation
from inhand.controller.estimation.pose_state import (
    MotionModel,
    PoseMeasurement,
    PoseState,
    Verdict,
    initial,
)
from inhand.controller.estimation.prediction import StatePredictor


@dataclass(frozen=True)
class FusionSettings:
    """Settings of the filter.

    Attributes:
        motion: how the object moves.
        position_sigma: standard deviation of a position from camera calibration errors [m].
        rotation_sigma: the same in a rotation [rad].
        window: how late a measurement may arrive and still be used [s]. A frame that came later
            changed the present estimate by less than 2e-5 rad.
        repeated: number of later measurements that are applied again for a late one, at most: it
            bounds the work of a tick.
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
        vote_age: how long a camera's latest measurement counts as its vote [s]. If more cameras
            were rejected than accepted, the filter re-initialises without waiting.
    """

    motion: MotionModel = field(default_factory=MotionModel)
    position_sigma: float = 0.0002
    rotation_sigma: float = 0.002
    window: float = 0.15
    repeated: int = 12
    gate: float = 50.0
    jump: float = 0.05
    turn: float = 1.5
    recovery: int = 3
    recovery_age: float = 0.15
    distant_recovery_age: float = 0.6
    vote_age: float = 0.3


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
        return _voted(initial(measurement, settings.motion), measurement, accepted=True)
    state = carrier.ahead(state, measurement.t)
    best = min(
        (innovation(state, candidate) for candidate in measurement.candidates),
        key=lambda found: found.distance,
    )
    if best.distance <= settings.gate and _near(best, settings):
        after = _voted(correct(state, best), measurement, accepted=True)
        if not measurement.seen_by:
            return after
        # An accepted camera does not make up for rejected ones.
        own = set(measurement.seen_by)
        return replace(
            after, refused=tuple(one for one in state.refused if not own & set(one.seen_by))
        )
    refused = (*state.refused, measurement)[-settings.recovery :]
    state = _voted(state, measurement, accepted=False)
    found = _recovered(state, refused, settings, carrier)
    if found is not None:
        return replace(
            found,
            accepted=state.accepted + 1,
            rejected=state.rejected,
            recoveries=state.recoveries + 1,
        )
    return replace(state, refused=refused, rejected=state.rejected + 1)


def _voted(state: PoseState, measurement: PoseMeasurement, *, accepted: bool) -> PoseState:
    """The state with the verdict on the cameras of a measurement."""
    names = measurement.seen_by
    if not names:
        return state
    others = (one for one in state.verdicts if one.camera not in names)
    own = (Verdict(name, measurement.t, accepted) for name in names)
    return replace(state, verdicts=(*others, *own))


def _outvoted(state: PoseState, settings: FusionSettings) -> bool:
    """Whether several cameras were rejected lately, and more than were accepted."""
    lately = [one.accepted for one in state.verdicts if state.t - one.t <= settings.vote_age]
    rejected = lately.count(False)
    return rejected > 1 and rejected > len(lately) - rejected


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
    if state.t - state.measured < patience and not _outvoted(state, settings):
        return None
    found = initial(refused[0], settings.motion)
    for later in refused[1:]:
        found = carrier.ahead(found, later.t)
        best = min(
            (innovation(found, candidate) for candidate in later.candidates),
            key=lambda one: one.distance,
        )
        if best.distance > settings.gate:
            return None
        found = correct(found, best)
    agreed = {name for one in refused for name in one.seen_by}
    return replace(
        found,
        verdicts=tuple(
            replace(one, accepted=True) if one.camera in agreed else one for one in state.verdicts
        ),
    )


def _near(found: Innovation, settings: FusionSettings) -> bool:
    """Whether the candidate is within `jump` and `turn` of the prediction."""
    shift, turn = found.difference[:3], found.difference[3:]
    return bool(shift @ shift <= settings.jump**2 and turn @ turn <= settings.turn**2)
