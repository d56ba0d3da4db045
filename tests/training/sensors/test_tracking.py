"""The pose estimates of a batch have the errors of the robot's pose filter."""

from pathlib import Path

import numpy as np
import pytest

from inhand.controller.estimation.pose_measurements import PoseFeed
from inhand.hardware.model.universe import Universe
from inhand.hardware.records import Array
from inhand.perception import rotations
from inhand.perception.objects import load_object
from inhand.training.sensors.lockstep_sensors import CAMERA_RATE, PIPELINE_LATENCY, PoseSensor
from inhand.training.sensors.tracking import TrackedPoses

MOTION = np.load(Path(__file__).parents[2] / "controller" / "block_motion.npy").astype(np.float64)
"""Position [m] and quaternion, wxyz, of a block that a policy turns, every 10 ms, (1000, 7)."""

STEP = 5
"""Ticks a policy step."""


def batch_errors(phases: int, universe: Universe) -> tuple[Array, Array]:
    """Errors of position [m] and rotation [rad] at each policy step, for several phases."""
    tracked = TrackedPoses(phases, STEP * 0.01)
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
