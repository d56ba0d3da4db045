"""What a measurement does to the belief: believed, refused, or refused so often that it is true."""

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
from inhand.controller.estimation.prediction import Carrier
from inhand.perception import rotations


@dataclass(frozen=True)
class FusionSettings:
    """What the filter assumes.

    Attributes:
        motion: how the object moves.
        position_sigma: uncertainty of the cameras' calibration, as it shows in a position [m].
        rotation_sigma: the same in a rotation [rad].
        window: how late a measurement may arrive and still be used [s].
        gate: squared Mahalanobis distance from which a pose is refused. Well above the 22.5 that
            chi-square with 6 degrees of freedom exceeds once in a thousand times: contact moves
            an object by fits and starts, with four times the fourth moment of a Gaussian.
        jump: a pose further than this from the prediction is refused in any case [m]: through
            an occlusion the covariance grows until it would allow anything.
        turn: the same for the angle [rad].
        recovery: so many refused measurements in a row, each of which could follow from the
            one before, are believed once nothing else has been for `recovery_age`.
        recovery_age: for an object nearer than `jump`, or that several cameras agree on [s].
        distant_recovery_age: for a jump that one camera alone has seen [s].
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
    carrier: Carrier,
) -> PoseState:
    """The belief after one more measurement.

    Args:
        state: the belief before; None if there is none.
        measurement: not older than the belief.
        settings: what to assume.
        carrier: takes the belief to the measurement's instant.
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
    carrier: Carrier,
) -> PoseState | None:
    """The belief that refused measurements give by themselves; None if they do not convince."""
    if len(refused) < settings.recovery:
        return None
    # One camera can be wrong for long, by a reflection or a tag on something else.
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
    """Whether an object could get from the prediction to the candidate."""
    shift = float(np.linalg.norm(candidate.position - state.position))
    turn = float(rotations.angle_between(candidate.quaternion, state.quaternion))
    return shift <= settings.jump and turn <= settings.turn
