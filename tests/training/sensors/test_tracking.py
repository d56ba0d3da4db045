"""The pose estimates of a batch have the errors of the robot's pose filter."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from inhand.controller.estimation.hand_motion import HandMotion
from inhand.controller.estimation.pose_measurements import PoseFeed
from inhand.controller.estimation.pose_state import MotionModel
from inhand.controller.policy.files import SHIPPED
from inhand.hardware.model.hand import Hand, load_hand
from inhand.hardware.model.universe import Universe
from inhand.hardware.records import Array, JointState
from inhand.perception import rotations
from inhand.perception.objects import ObjectDescription, load_object
from inhand.training.evaluation import lockstep
from inhand.training.evaluation.lockstep import AnyWorld
from inhand.training.evaluation.trials import Rules, Setup
from inhand.training.sensors.carrying import Carrying
from inhand.training.sensors.lockstep_sensors import CAMERA_RATE, PIPELINE_LATENCY, PoseSensor
from inhand.training.sensors.tracking import TrackedPoses

MOTION = np.load(Path(__file__).parents[2] / "controller" / "block_motion.npy").astype(np.float64)
"""Position [m] and quaternion, wxyz, of a block that a policy turns, every 10 ms, (1000, 7)."""

POLICY = SHIPPED / "block.onnx"

STEP = 5
"""Ticks a policy step."""


def batch_errors(phases: int, universe: Universe) -> tuple[Array, Array]:
    """Errors of position [m] and rotation [rad] at each policy step, for several phases."""
    tracked = TrackedPoses(phases, STEP * 0.01, MotionModel())
    latency = PIPELINE_LATENCY + universe.pose_latency
    tracked.rate[:], tracked.latency[:] = CAMERA_RATE, latency
    noise = universe.position_noise[0], universe.rotation_noise[0]
    tracked.deviation[:] = np.hypot(tracked.deviation, np.array(noise)[:, None])
    rng = np.random.default_rng(2)
    ids = np.arange(phases)
    start = np.tile(MOTION[0, :3], (phases, 1)), np.tile(MOTION[0, 3:], (phases, 1))
    tracked.reset(ids, np.random.default_rng(1), start, start)
    away, turned = [], []
    for row in MOTION[STEP::STEP]:
        position, quaternion = np.tile(row[:3], (phases, 1)), np.tile(row[3:], (phases, 1))
        seen, moved, turn = tracked.advance(position, quaternion)
        moved = moved + noise[0] * rng.standard_normal(moved.shape)
        turn = rotations.multiply(rotations.exp(noise[1] * rng.standard_normal(moved.shape)), turn)
        tracked.accept(seen, moved, turn)
        believed, attitude, age = tracked.predict()
        assert np.all(age >= latency - 1e-9)
        assert np.all(age <= latency + 1.0 / CAMERA_RATE + 1e-9)
        away.append(np.linalg.norm(believed - position, axis=-1))
        turned.append(rotations.angle_between(attitude, quaternion))
    return np.array(away), np.array(turned)


def filter_errors(phases: int, universe: Universe) -> tuple[Array, Array]:
    """The same of the robot's filter, fed at the cameras' rate."""
    away, turned = [], []
    for phase in range(phases):
        sensor = PoseSensor(universe, np.random.default_rng(phase))
        feed = PoseFeed(load_object("block"))
        for tick, row in enumerate(MOTION):
            t = tick * 0.01
            feed.update(*sensor.read(t, row[:3], row[3:]))
            pose = feed.predict(t)
            if pose is not None and tick % STEP == 0 and tick:
                away.append(np.linalg.norm(pose.position - row[:3]))
                turned.append(rotations.angle_between(pose.quaternion, row[3:]))
    return np.array(away), np.array(turned)


@pytest.mark.parametrize(
    "universe",
    [
        Universe(),
        Universe(pose_latency=0.1),
        Universe(position_noise=(0.002, 0.0), rotation_noise=(0.05, 0.0)),
    ],
    ids=["nominal", "late", "noisy"],
)
def test_a_batchs_pose_errors_are_those_of_the_filter(universe: Universe) -> None:
    """Velocities are filtered as the robot does: noise reaches the prediction as it does there."""
    for one, other in zip(batch_errors(6, universe), filter_errors(6, universe), strict=True):
        for share in (50, 90):
            assert np.percentile(one, share) == pytest.approx(np.percentile(other, share), rel=0.15)


def test_with_the_hand_followed_errors_are_those_of_the_daemons_filter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A trial of the shipped policy: the filter of its controller beside the tracker."""
    feeds: list[PoseFeed] = []

    class Kept(PoseFeed):
        def __init__(self, target: ObjectDescription, hand: Hand) -> None:
            super().__init__(target, hand=hand)
            feeds.append(self)

    rows: list[list[float]] = []

    def watch(t: float, world: AnyWorld, _: object) -> None:
        pose = feeds[-1].predict(t)
        if pose and len(rows) < 1200:
            true, joints = np.concatenate(world.object_pose()), world.encoders()[0]
            rows.append([*true, *pose.position, *pose.quaternion, *joints])

    monkeypatch.setattr(lockstep, "PoseFeed", Kept)
    digest = hashlib.sha256(POLICY.read_bytes()).hexdigest()
    rules = Rules(timeout=12.0, cap=4)
    setup = Setup(
        POLICY, digest, "mujoco", "dactyl24", "block", None, None, False, rules, 3, wires=False
    )
    lockstep.run_trial(setup, 0, watch=watch)
    true, estimated, joints = np.split(np.array(rows), [7, 14], axis=1)
    filtered = rotations.angle_between(estimated[::STEP, 3:], true[::STEP, 3:]).mean()
    followed, free = (tracked_error(true, joints, follow) for follow in (True, False))
    assert followed == pytest.approx(filtered, rel=0.25)
    assert followed < 0.9 * free


def tracked_error(true: Array, joints: Array, follow: bool) -> float:
    """Mean error of rotation [rad] over several phases of the cameras."""
    phases = 6
    tracked = TrackedPoses(phases, STEP * 0.01)
    tracked.rate[:], tracked.latency[:] = CAMERA_RATE, PIPELINE_LATENCY
    carrying = Carrying(load_hand("dactyl24"), load_object("block"))
    rows = [np.tile(row, (phases, 1)) for row in np.concatenate([true, joints], axis=1)[::STEP]]
    place, turn = rows[0][:, :3], rows[0][:, 3:7]
    tracked.reset(np.arange(phases), np.random.default_rng(1), (place, turn), (place, turn))
    errors = []
    for before, row in zip(rows, rows[1:], strict=False):
        carried = carrying.motion(before[:, 7:], row[:, 7:], place, turn) if follow else None
        tracked.accept(*tracked.advance(row[:, :3], row[:, 3:7], carried))
        place, turn, _ = tracked.predict()
        errors.append(rotations.angle_between(turn, row[:, 3:7]))
    return float(np.mean(errors))


def test_a_hands_motion_is_that_of_the_daemon_in_every_world() -> None:
    hand, block = load_hand("dactyl24"), load_object("block")
    rng, n = np.random.default_rng(5), 12
    before = hand.rest + 0.1 * rng.standard_normal((n, hand.n_actuators))
    after = before + 0.05 * rng.standard_normal(before.shape)
    place = np.array(hand.workspace.object_start) + 0.01 * rng.standard_normal((n, 3))
    place[-1] += 1.0  # far from the hand: the palm alone moves it
    turn = rotations.random_quaternion(rng, (n,))
    moved = Carrying(hand, block).motion(before, after, place, turn)
    for i in range(n):
        one = HandMotion(hand, block)
        one.note(JointState(0.0, before[i], np.zeros(20), np.zeros(20)))
        one.note(JointState(1.0, before[i], np.zeros(20), np.zeros(20)))
        response = one.grip(0.5, place[i], turn[i]).response
        np.testing.assert_allclose(moved[i], response @ (after[i] - before[i]), atol=1e-9)


def test_steady_motion_is_predicted() -> None:
    tracked = TrackedPoses(1, 0.05)
    tracked.latency[:] = 0.04
    speed = np.array([0.0, 0.0, 1.0])
    start = np.zeros((1, 3)), rotations.IDENTITY[None]
    tracked.reset(np.array([0]), np.random.default_rng(0), start, start)
    for step in range(1, 20):
        turned = rotations.exp(speed * 0.05 * step)[None]
        tracked.accept(*tracked.advance(np.zeros((1, 3)), turned))
    _, attitude, age = tracked.predict()
    held = age[0] * 1.0
    assert rotations.angle_between(attitude, turned)[0] < 0.6 * held


def test_the_age_grows_when_a_pose_is_rejected() -> None:
    tracked = TrackedPoses(1, 0.05)
    start = np.zeros((1, 3)), rotations.IDENTITY[None]
    tracked.reset(np.array([0]), np.random.default_rng(0), start, start)
    first = tracked.predict()[2][0]
    for _ in range(20):
        tracked.advance(*start)
    assert tracked.predict()[2][0] == pytest.approx(first + 1.0)
