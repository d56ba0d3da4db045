"""Prediction and correction of the pose filter, against derivatives and an independent result."""

from dataclasses import replace

import numpy as np
from scipy.linalg import expm

from inhand.controller.estimation.pose_correction import correct, innovation
from inhand.controller.estimation.pose_state import (
    MotionModel,
    PoseCandidate,
    PoseMeasurement,
    PoseState,
    initial,
    propagate,
)
from inhand.perception import rotations
from tests.controller.fused import (
    truth,
)


def test_two_predictions_equal_one() -> None:
    motion = MotionModel()
    start = initial(PoseMeasurement(0.0, (PoseCandidate(*truth(0.0), 1e-6 * np.eye(6)),)), motion)
    start = replace(
        start,
        linear_velocity=np.array([0.1, -0.2, 0.05]),
        angular_velocity=np.array([1.0, 2.0, -1]),
    )
    once = propagate(start, 0.11, motion)
    twice = propagate(propagate(start, 0.04, motion), 0.11, motion)
    np.testing.assert_allclose(once.position, twice.position, atol=1e-15)
    np.testing.assert_allclose(once.quaternion, twice.quaternion, atol=1e-15)
    # Exact for position; in rotation, noise added early turns with the object (second order).
    scale = np.sqrt(np.diag(twice.covariance))
    np.testing.assert_allclose(
        once.covariance / np.outer(scale, scale),
        twice.covariance / np.outer(scale, scale),
        atol=0.05,
    )
    position = np.ix_([0, 1, 2, 6, 7, 8], [0, 1, 2, 6, 7, 8])
    np.testing.assert_allclose(once.covariance[position], twice.covariance[position], rtol=1e-9)


def test_the_transition_matrix_is_the_derivative_of_the_motion() -> None:
    motion = MotionModel()
    start = initial(PoseMeasurement(0.0, (PoseCandidate(*truth(0.0), 1e-6 * np.eye(6)),)), motion)
    start = replace(start, angular_velocity=np.array([3.0, -2.0, 4.0]))
    nominal = propagate(start, 0.1, motion)
    still = propagate(replace(start, covariance=np.zeros((12, 12))), 0.1, motion).covariance
    for axis in range(12):
        error = np.zeros(12)
        error[axis] = 1e-4
        disturbed = propagate(
            replace(
                start,
                position=start.position + error[:3],
                quaternion=rotations.multiply(rotations.exp(error[3:6]), start.quaternion),
                linear_velocity=start.linear_velocity + error[6:9],
                angular_velocity=start.angular_velocity + error[9:],
            ),
            0.1,
            motion,
        )
        turn = rotations.multiply(disturbed.quaternion, rotations.conjugate(nominal.quaternion))
        column = np.concatenate(
            [
                disturbed.position - nominal.position,
                rotations.log(turn),
                disturbed.linear_velocity - nominal.linear_velocity,
                disturbed.angular_velocity - nominal.angular_velocity,
            ]
        )
        carried = propagate(replace(start, covariance=np.outer(error, error)), 0.1, motion)
        np.testing.assert_allclose(carried.covariance - still, np.outer(column, column), atol=1e-12)


def test_a_measurement_without_variance_replaces_the_estimate() -> None:
    motion = MotionModel()
    state = initial(PoseMeasurement(0.0, (PoseCandidate(*truth(0.0), 1e-2 * np.eye(6)),)), motion)
    position, quaternion = truth(0.3)
    exact = PoseCandidate(position, quaternion, 1e-14 * np.eye(6))
    after = correct(state, innovation(state, exact))
    np.testing.assert_allclose(after.position, position, atol=1e-9)
    assert rotations.angle_between(after.quaternion, quaternion) < 1e-7


def test_the_prediction_agrees_with_van_loans_matrix_exponential() -> None:
    # Van Loan, "Computing integrals involving the matrix exponential" (1978), by scipy, at rest.
    motion, dt = MotionModel(), 0.07
    start = initial(PoseMeasurement(0.0, (PoseCandidate(*truth(0.0), 1e-6 * np.eye(6)),)), motion)
    continuous, noise = np.zeros((12, 12)), np.zeros((12, 12))
    continuous[:6, 6:] = np.eye(6)
    continuous[6:, 6:] = -np.eye(6) / motion.decay_time
    speeds = np.repeat([motion.linear_speed, motion.angular_speed], 3)
    noise[6:, 6:] = np.diag(2 * speeds**2 / motion.decay_time)
    block = np.block([[-continuous, noise], [np.zeros((12, 12)), continuous.T]])
    whole = expm(block * dt)
    step = whole[12:, 12:].T
    expected = step @ start.covariance @ step.T + step @ whole[:12, 12:]
    found = propagate(start, dt, motion).covariance
    np.testing.assert_allclose(found, expected, atol=1e-12, rtol=1e-9)


def test_poses_that_are_uncertain_about_one_axis_keep_a_true_covariance() -> None:
    # Pose of one tag in one camera: 0.2 rad about two axes, 0.01 rad about the third.
    rng = np.random.default_rng(0)
    motion, dt, substeps = MotionModel(), 1 / 15, 20
    sigma = np.array([0.2, 0.2, 0.01])
    noise = np.diag(np.concatenate([np.full(3, 1e-6), sigma**2]))
    n, kept = 150, np.exp(-dt / substeps / motion.decay_time)
    quaternion = rotations.normalize(rng.standard_normal((n, 4)))
    turning = rng.normal(0.0, motion.angular_speed, (n, 3))
    states: list[PoseState] = []
    outside = []
    for k in range(8):
        seen = rotations.multiply(rotations.exp(rng.normal(0.0, 1.0, (n, 3)) * sigma), quaternion)
        poses = [PoseCandidate(np.zeros(3), one, noise) for one in seen]
        if not states:
            states = [initial(PoseMeasurement(0.0, (pose,)), motion) for pose in poses]
        ahead = [propagate(state, k * dt, motion) for state in states]
        pairs = zip(ahead, poses, strict=True)
        states = [correct(state, innovation(state, pose)) for state, pose in pairs]
        if k >= 2:
            for state, true in zip(states, quaternion, strict=True):
                turn = rotations.multiply(true, rotations.conjugate(state.quaternion))
                error, spread = rotations.log(turn), state.covariance[3:6, 3:6]
                # The 95 % quantile of chi-square with 3 degrees of freedom.
                outside.append(error @ np.linalg.solve(spread, error) > 7.815)
        for _ in range(substeps):
            step = rotations.exp(turning * (dt / substeps))
            quaternion = rotations.multiply(step, quaternion)
            fresh = motion.angular_speed * rng.standard_normal((n, 3))
            turning = kept * turning + np.sqrt(1 - kept**2) * fresh
    assert np.mean(outside) < 0.08
