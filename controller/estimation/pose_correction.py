"""Error-state Kalman filter on position x SO(3) with velocities: one correction.

The error state is that of `pose_state`.
"""

from dataclasses import dataclass, replace

import numpy as np

from inhand.controller.estimation.pose_state import PoseCandidate, PoseState, left_jacobian
from inhand.perception import rotations
from inhand.perception.rotations import Array

LARGE_ANGLE = 0.01
"""Rotation from which a correction takes into account that rotations do not commute [rad]."""


@dataclass(frozen=True, slots=True)
class Innovation:
    """How a candidate differs from the estimate.

    Attributes:
        difference: candidate minus estimate, position and world rotation, (6,) [m, rad].
        noise: covariance of the candidate's own error, as that of the difference, (6, 6).
        sensitivity: of the difference to the errors that all measurements share, (6, k), or None.
        distance: squared Mahalanobis distance; chi-square with 6 degrees of freedom.
        gain: of the Kalman correction, (12, 6).
    """

    difference: Array
    noise: Array
    sensitivity: Array | None
    distance: float
    gain: Array


def innovation(state: PoseState, candidate: PoseCandidate) -> Innovation:
    """The difference of a candidate of the same instant, and how much of it is to be corrected.

    The candidate's rotation error is a world rotation on top of the true orientation. The
    difference is on top of the estimated one, so the error enters it through the inverse left
    Jacobian of SO(3) (Solà et al., "A micro Lie theory for state estimation in robotics",
    equation 146). At 0.2 rad this matters: a pose can be uncertain about one axis only.

    Errors of the calibration stay the same from frame to frame, so they do not average out. They
    are considered, but not estimated (Schmidt, "Application of state-space methods to navigation
    problems", 1966).
    """
    turn = rotations.multiply(candidate.quaternion, rotations.conjugate(state.quaternion))
    vector = rotations.log(turn)
    difference = np.concatenate([candidate.position - state.position, vector])
    noise, sensitivity = candidate.covariance, candidate.sensitivity
    if sensitivity is not None:
        noise = noise - sensitivity @ sensitivity.T
    if vector @ vector > LARGE_ANGLE**2:
        change = np.eye(6)
        change[3:, 3:] = np.linalg.inv(left_jacobian(vector))
        noise = change @ noise @ change.T
        sensitivity = None if sensitivity is None else change @ sensitivity
    spread, toward = state.covariance[:6, :6] + noise, state.covariance[:6]
    if sensitivity is not None:
        spread = spread + sensitivity @ sensitivity.T
        if state.shared is not None:
            mixed = sensitivity @ state.shared.T
            toward = toward + mixed
            spread = spread + mixed[:, :6] + mixed[:, :6].T
    solved = np.linalg.solve(spread, np.column_stack([toward, difference]))
    distance = float(difference @ solved[:, 12])
    return Innovation(difference, noise, sensitivity, distance, solved[:, :12].T)


def correct(state: PoseState, found: Innovation) -> PoseState:
    """Kalman correction with the innovation of a candidate."""
    gain = found.gain
    error = gain @ found.difference
    # Joseph's form keeps the covariance positive definite despite rounding.
    left = np.eye(12)
    left[:, :6] -= gain
    covariance = left @ state.covariance @ left.T + gain @ found.noise @ gain.T
    shared = None if state.shared is None else left @ state.shared
    if found.sensitivity is not None:
        moved = gain @ found.sensitivity
        covariance = covariance + moved @ moved.T
        if shared is not None:
            mixed = shared @ moved.T
            covariance = covariance - mixed - mixed.T
        shared = -moved if shared is None else shared - moved
    if error[3:6] @ error[3:6] > LARGE_ANGLE**2:
        # From now on the error is on top of the corrected orientation.
        reset = np.eye(12)
        reset[3:6, 3:6] = left_jacobian(error[3:6])
        covariance = reset @ covariance @ reset.T
        shared = None if shared is None else reset @ shared
    quaternion = rotations.multiply(rotations.exp(error[3:6]), state.quaternion)
    return replace(
        state,
        position=state.position + error[:3],
        quaternion=rotations.normalize(quaternion),
        linear_velocity=state.linear_velocity + error[6:9],
        angular_velocity=state.angular_velocity + error[9:],
        covariance=(covariance + covariance.T) / 2,
        measured=state.t,
        refused=(),
        accepted=state.accepted + 1,
        shared=shared,
    )
