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


def batch_errors(phases: int) -> tuple[Array, Array]:
    """Errors of position [m] and rotation [rad] at each policy step, for several phases."""
    tracked = TrackedPoses(phases, STEP * 0.01)
    tracked.rate[:], tracked.latency[:] = CAMERA_RATE, PIPELINE_LATENCY
    ids = np.arange(phases)
    start = np.tile(MOTION[0, :3], (phases, 1)), np.tile(MOTION[0, 3:], (phases, 1))
    tracked.reset(ids, np.random.default_rng(1), start, start)
    away, turned = [], []
    for row in MOTION[STEP::STEP]:
        position, quaternion = np.tile(row[:3], (phases, 1)), np.tile(row[3:], (phases, 1))
        tracked.accept(*tracked.advance(position, quaternion))
        believed, attitude, age = tracked.predict()
        assert np.all(age >= PIPELINE_LATENCY - 1e-9)
        assert np.all(age <= PIPELINE_LATENCY + 1.0 / CAMERA_RATE + 1e-9)
        away.append(np.linalg.norm(believed - position, axis=-1))
        turned.append(rotations.angle_between(attitude, quaternion))
    return np.array(away), np.array(turned)


def filter_errors(phases: int) -> tuple[Array, Array]:
    """The same of the robot's filter, fed at the cameras' rate."""
    away, turned = [], []
    for phase in range(phases):
        sensor = PoseSensor(Universe(), np.random.default_rng(phase))
        feed = PoseFeed(load_object("block"))
        for tick, row in enumerate(MOTION):
            t = tick * 0.01
            feed.update(*sensor.read(t, row[:3], row[3:]))
            pose = feed.predict(t)
            if pose is not None and tick % STEP == 0 and tick:
                away.append(np.linalg.norm(pose.position - row[:3]))
                turned.append(rotations.angle_between(pose.quaternion, row[3:]))
    return np.array(away), np.array(turned)


def test_a_batchs_pose_errors_are_those_of_the_filter() -> None:
    for one, other in zip(batch_errors(8), filter_errors(8), strict=True):
        for share in (50, 90):
            assert np.percentile(one, share) == pytest.approx(np.percentile(other, share), rel=0.3)


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
