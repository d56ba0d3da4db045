"""Prediction and correction of the pose filter, against derivatives and an independent result."""

from dataclasses import replace

import numpy as np
from scipy.linalg import expm

from inhand.controller.estimation.pose_state import (
    MotionModel,
    PoseCandidate,
    PoseMeasurement,
    correct,
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
    after = correct(state, PoseCandidate(position, quaternion, 1e-14 * np.eye(6)))
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
