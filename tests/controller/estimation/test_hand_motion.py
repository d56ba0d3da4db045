"""The object is predicted to move with the palm and with the links that touch it."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from inhand.controller.estimation.fusion import PoseFilter
from inhand.controller.estimation.hand_motion import HandMotion, palm
from inhand.controller.estimation.pose_state import (
    HELD,
    PoseCandidate,
    PoseMeasurement,
    PoseState,
    initial,
    propagate,
)
from inhand.controller.recording.checkpoint import capture, restore
from inhand.hardware.model.hand import load_hand
from inhand.hardware.model.kinematics import link_poses
from inhand.hardware.records import JointState, frozen_array
from inhand.perception import rotations
from inhand.perception.objects import load_object
from inhand.perception.records import ObjectPose
from inhand.perception.rotations import Array
from tests.hands import level

HAND, BLOCK = level(), load_object("block")
PALM = HAND.link_names.index("palm")
START = np.array(HAND.workspace.object_start)

HELD_MOTION = np.load(Path(__file__).parents[1] / "held_motion.npy").astype(np.float64)
"""Position [m], quaternion, wxyz, and servo angles [rad] of a block that the shipped policy turns
in MuJoCo, every 10 ms for 7 s, (700, 27)."""


def reading(t: float, position: Array) -> JointState:
    zero = frozen_array(np.zeros(HAND.n_actuators))
    return JointState(t, frozen_array(position), zero, zero)


def swayed(t: float) -> Array:
    """Servo angles of a hand at rest whose wrist sways."""
    servos = np.array(HAND.rest)
    servos[:2] += [0.12 * np.sin(4 * t) - 0.15, 0.25 * np.sin(5 * t + 1)]
    return servos


def carried_by_palm(position: Array, quaternion: Array, t: float) -> tuple[Array, Array]:
    """Where an object that lay there at t = 0 is now, as a part of the palm."""
    turns, origins = link_poses(HAND, HAND.joint_angles(np.stack([swayed(0.0), swayed(t)])))
    turn = turns[1, PALM] @ turns[0, PALM].T
    there = turn @ (position - origins[0, PALM]) + origins[1, PALM]
    return there, rotations.multiply(rotations.from_matrix(turn), quaternion)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_what_the_hand_holds_still_moves_with_the_wrist_alone(seed: int) -> None:
    rng = np.random.default_rng(seed)
    motion = HandMotion(HAND, BLOCK)
    servos = HAND.rest + rng.normal(0.0, 0.1, HAND.n_actuators)
    motion.note(reading(0.0, servos))
    moved = np.array(servos)
    moved[:2] += rng.normal(0.0, 1e-5, 2)
    motion.note(reading(0.01, moved))
    position = START + rng.normal(0.0, 0.008, 3)
    grip = motion.grip(0.0, position, rotations.random_quaternion(rng))
    # It touches the hand; otherwise the palm's share is less than one.
    assume(np.linalg.norm(grip.response[3:, 0]) > 1 - 1e-9)
    found = grip.response @ (moved - servos)
    turns, origins = link_poses(HAND, HAND.joint_angles(np.stack([servos, moved])))
    turn = turns[1, PALM] @ turns[0, PALM].T
    shift = turn @ (position - origins[0, PALM]) + origins[1, PALM] - position
    np.testing.assert_allclose(found[:3], shift, atol=1e-9)
    np.testing.assert_allclose(found[3:], rotations.log(rotations.from_matrix(turn)), atol=1e-8)


def test_a_palm_that_cannot_move_carries_nothing() -> None:
    hand = load_hand("leap")
    motion, zero = HandMotion(hand, BLOCK), frozen_array(np.zeros(hand.n_actuators))
    for t in (0.0, 0.01):
        motion.note(JointState(t, frozen_array(hand.rest), zero, zero))
    start = np.array(hand.workspace.object_start)
    far = motion.grip(0.0, start + [0.0, 0.0, 0.3], rotations.IDENTITY)
    np.testing.assert_array_equal(far.response, 0.0)
    assert palm(hand) is None and palm(HAND) == PALM


def test_fingers_that_touch_nothing_move_nothing() -> None:
    motion = HandMotion(HAND, BLOCK)
    motion.note(reading(0.0, HAND.rest))
    motion.note(reading(0.01, HAND.rest))
    grip = motion.grip(0.0, START + [0.0, 0.0, 0.3], rotations.IDENTITY)
    np.testing.assert_array_equal(grip.response[:, 2:], 0.0)
    # On the palm they do.
    assert np.abs(motion.grip(0.0, START, rotations.IDENTITY).response[:, 2:]).max() > 1e-4


@pytest.mark.parametrize("height", [0.1, 0.2])
def test_what_is_in_the_air_does_not_move_with_the_wrist(height: float) -> None:
    pose_filter = PoseFilter(BLOCK, {}, hand=HAND)
    away = START + [0.0, 0.0, height]
    for tick in range(200):
        t = tick / 100
        pose_filter.note_joints(reading(t, swayed(t)))
        if tick % 7 == 0 and tick >= 4:
            pose_filter.update_pose(t - 0.04, away, rotations.IDENTITY, 1e-3, 1e-2)
        pose = pose_filter.predict(t)
        if pose is not None and tick > 20:
            assert np.linalg.norm(pose.position - away) < 0.002
            assert np.linalg.norm(pose.linear_velocity) < 0.02


def test_the_share_of_the_palm_fades_with_the_gap() -> None:
    motion = HandMotion(HAND, BLOCK)
    motion.note(reading(0.0, HAND.rest))
    motion.note(reading(0.01, HAND.rest))
    heights = np.arange(0.0, 0.1, 0.002)
    turns = []
    for height in heights:
        grip = motion.grip(0.0, START + [0.0, 0.0, height], rotations.IDENTITY)
        turns.append(np.abs(grip.response[3:, :2]).max())
    turned = np.array(turns)
    # An object on the palm turns with the wrist, one in the air does not; there is no jump.
    assert turned[0] > 0.99 and turned[-1] < 1e-4
    assert (np.diff(turned) < 1e-9).all() and np.diff(turned).min() > -0.25


def test_readings_are_interpolated_linearly_and_kept_for_a_while() -> None:
    motion = HandMotion(HAND, BLOCK)
    assert not motion.covers(0.0)
    for k in range(500):
        motion.note(reading(0.01 * k, HAND.rest + 0.001 * k))
    motion.note(reading(1.0, HAND.rest - 1.0))
    np.testing.assert_allclose(motion.joints(4.505), HAND.rest + 0.4505, atol=1e-9)
    np.testing.assert_allclose(motion.joints(9.0), HAND.rest + 0.499, atol=1e-9)
    np.testing.assert_allclose(motion.speeds(5.0), 0.1, atol=1e-6)
    np.testing.assert_array_equal(motion.speeds(5.2), 0.0)
    assert motion.covers(4.1) and not motion.covers(0.5) and not motion.covers(4.99)


def test_the_hand_turns_the_whole_estimate() -> None:
    start = initial(PoseMeasurement(0.0, (PoseCandidate(START, rotations.IDENTITY, ODD),)), HELD)
    turn = np.array([0.0, 0.0, np.pi / 2])
    moved = propagate(start, 1e-9, HELD, np.concatenate([[0.1, 0.0, 0.0], turn]))
    np.testing.assert_allclose(moved.position, START + [0.1, 0.0, 0.0], atol=1e-9)
    assert rotations.angle_between(moved.quaternion, rotations.exp(turn)) < 1e-7
    # What was uncertain along x is so along y now.
    spread = np.diag(moved.covariance)
    np.testing.assert_allclose(spread[:6], [4e-6, 1e-6, 1e-6, 2e-4, 1e-4, 1e-4], rtol=1e-4)


ODD = np.diag([1e-6, 4e-6, 1e-6, 1e-4, 2e-4, 1e-4])


@given(st.lists(st.floats(-2.0, 2.0), min_size=6, max_size=6), st.floats(1e-6, 1.0))
@settings(max_examples=100, deadline=None)
def test_every_predicted_estimate_is_valid(carried: list[float], ahead: float) -> None:
    state: PoseState = initial(
        PoseMeasurement(0.0, (PoseCandidate(START, rotations.IDENTITY, ODD),)), HELD
    )
    moved = propagate(state, ahead, HELD, np.array(carried))
    assert abs(np.linalg.norm(moved.quaternion) - 1) < 1e-12
    np.testing.assert_array_equal(moved.covariance, moved.covariance.T)
    assert np.linalg.eigvalsh(moved.covariance).min() > 0


def follow(
    truth: Array, servos: Array, latency: float, hand_known: bool
) -> tuple[Array, Array, Array]:
    """What the filter, and who holds the newest pose, are off by at every tick.

    Args:
        truth: position and quaternion every 10 ms, (n, 7).
        servos: (n, n_actuators).
        latency: from capture to arrival [s].
        hand_known: whether the filter is told of the servos.

    Returns:
        fused: distance [m] and angle [rad], (m, 2).
        held: the same of the newest pose, (m, 2).
        within: whether the truth was within the 95 % bound, (m,).
    """
    rng = np.random.default_rng(21)
    pose_filter = PoseFilter(BLOCK, {}, hand=HAND if hand_known else None)
    waiting: list[tuple[float, Array, Array]] = []
    newest = waiting[0] if waiting else (0.0, truth[0, :3], truth[0, 3:])
    fused, held, within = [], [], []
    for tick in range(len(truth)):
        t, position = tick / 100, truth[tick, :3]
        quaternion = rotations.normalize(truth[tick, 3:])
        pose_filter.note_joints(reading(t, servos[tick]))
        if tick % 7 == 0:
            turn = rotations.exp(rng.normal(0.0, 0.005, 3))
            seen = position + rng.normal(0.0, 5e-4, 3)
            waiting.append((t, seen, rotations.multiply(turn, quaternion)))
        while waiting and waiting[0][0] <= t - latency + 1e-9:
            newest = waiting.pop(0)
            pose_filter.update_pose(*newest, sigma_position=1e-3, sigma_rotation=1e-2)
        pose = pose_filter.predict(t)
        if tick < 30 or pose is None:
            continue
        error = apart(pose, position, quaternion)
        fused.append((np.linalg.norm(error[:3]), np.linalg.norm(error[3:])))
        angle = float(rotations.angle_between(newest[2], quaternion))
        held.append((np.linalg.norm(newest[1] - position), angle))
        within.append(error @ np.linalg.solve(pose.covariance[:6, :6], error) < 12.59)
    return np.array(fused), np.array(held), np.array(within)


def apart(pose: ObjectPose, position: Array, quaternion: Array) -> Array:
    turn = rotations.log(rotations.multiply(quaternion, rotations.conjugate(pose.quaternion)))
    return np.concatenate([position - pose.position, turn])


def test_with_60_ms_of_latency_a_moving_hand_is_followed_twice_as_well_as_by_holding() -> None:
    times = np.arange(600) / 100
    quaternion = rotations.exp(np.array([0.3, -0.2, 0.5]))
    poses = [np.concatenate(carried_by_palm(START, quaternion, t)) for t in times]
    servos = np.array([swayed(t) for t in times])
    fused, held, within = follow(np.array(poses), servos, 0.06, hand_known=True)
    for share in (50, 95):
        ratio = np.percentile(fused, share, axis=0) / np.percentile(held, share, axis=0)
        assert (ratio < 0.5).all(), f"{share} %: {ratio}"
    assert within.mean() > 0.95


@pytest.mark.parametrize("latency", [0.03, 0.06])
def test_a_block_that_a_policy_turns_is_followed_better_with_the_servos(latency: float) -> None:
    truth, servos = HELD_MOTION[:, :7], HELD_MOTION[:, 7:]
    known, held, within = follow(truth, servos, latency, hand_known=True)
    blind, _, _ = follow(truth, servos, latency, hand_known=False)
    for share in (50, 95):
        distance, angle = np.percentile(known, share, axis=0) / np.percentile(held, share, axis=0)
        assert distance < 0.65 and angle < 0.9, (share, distance, angle)
        better = np.percentile(known, share, axis=0) / np.percentile(blind, share, axis=0)
        assert (better < 0.95).all(), (share, better)
    assert within.mean() > 0.93


def test_the_order_of_arrival_does_not_matter_with_a_hand_that_moves() -> None:
    rng = np.random.default_rng(22)
    times = [0.35 + k / 45 for k in range(7)]
    measured = [(t, *carried_by_palm(START, rotations.IDENTITY, t)) for t in times]
    filters = [PoseFilter(BLOCK, {}, hand=HAND) for _ in range(2)]
    for tick in range(60):
        for one in filters:
            one.note_joints(reading(tick / 100, swayed(tick / 100)))
    for one, order in zip(filters, (range(7), rng.permutation(7)), strict=True):
        for k in order:
            one.update_pose(*measured[k], 5e-4, 5e-3)
    poses = [one.predict(0.55) for one in filters]
    assert poses[0] is not None and poses[1] is not None
    np.testing.assert_array_equal(poses[0].position, poses[1].position)
    np.testing.assert_array_equal(poses[0].covariance, poses[1].covariance)
    # The velocities are the world's: the wrist's motion counts.
    before, after = (carried_by_palm(START, rotations.IDENTITY, t)[0] for t in (0.57, 0.59))
    assert np.linalg.norm(poses[0].linear_velocity - (after - before) / 0.02) < 0.05


def test_a_filter_continues_from_a_checkpoint_with_equal_results() -> None:
    truth, servos = HELD_MOTION[:, :7], HELD_MOTION[:, 7:]
    filters = [PoseFilter(BLOCK, {}, hand=HAND) for _ in range(2)]
    for tick in range(0, 160):
        if tick == 97:
            restore(filters[1], capture(filters[0]))
        for one in filters[: 1 + (tick >= 97)]:
            one.note_joints(reading(tick / 100, servos[tick]))
            if tick % 7 == 0 and tick < 120:
                one.update_pose(tick / 100, truth[tick, :3], truth[tick, 3:], 1e-3, 1e-2)
            one.predict(tick / 100)
    poses = [one.predict(1.6) for one in filters]
    assert poses[0] is not None and poses[1] is not None
    np.testing.assert_array_equal(poses[0].position, poses[1].position)
    np.testing.assert_array_equal(poses[0].covariance, poses[1].covariance)
