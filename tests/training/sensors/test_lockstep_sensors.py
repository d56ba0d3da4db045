"""What a universe does to the measurements of lockstep: the effect of every sensing field.

Those of cameras act on images; `tests/sim_backend/test_process.py` measures them.
"""

from typing import Any

import msgspec
import numpy as np
import pytest

from inhand.controller.estimation.pose_measurements import PoseReading
from inhand.hardware.model.universe import Universe
from inhand.hardware.records import Array
from inhand.perception import rotations
from inhand.training.sensors.lockstep_sensors import (
    CAMERA_RATE,
    PIPELINE_LATENCY,
    JointSensor,
    Pauses,
    PoseSensor,
)

N = 20
TICK = 0.01
SPEED = 0.5
"""Of the joints, and of the object along x [1/s], [m/s]; it turns about z as fast [rad/s]."""


def joints(episodes: int = 40, ticks: int = 200, **fields: Any) -> Array:
    """Errors of joint readings while all joints turn at `SPEED`, (episodes, ticks, N) [rad]."""
    universe, errors = msgspec.convert(fields, Universe), []
    for episode in range(episodes):
        sensor = JointSensor(universe, N, np.random.default_rng(episode))
        rows = []
        for t in TICK * np.arange(ticks):
            truth = np.full(N, SPEED * t)
            state = sensor.read(t, (truth, np.full(N, SPEED), np.zeros(N)))
            assert state.t == t
            rows.append(state.position - truth)
        errors.append(rows)
    return np.array(errors)


def truth(t: float) -> tuple[Array, Array]:
    """Position and orientation (wxyz) of the moving object."""
    return np.array([SPEED * t, 0.0, 0.0]), rotations.exp(np.array([0.0, 0.0, SPEED * t]))


def poses(seed: int = 1, seconds: float = 60.0, **fields: Any) -> list[tuple[float, PoseReading]]:
    """What arrives in a minute, and when."""
    sensor = PoseSensor(msgspec.convert(fields, Universe), np.random.default_rng(seed))
    ticks = TICK * np.arange(round(seconds / TICK))
    return [(t, reading) for t in ticks for reading in sensor.read(t, *truth(t))]


def errors(readings: list[tuple[float, PoseReading]]) -> tuple[Array, Array]:
    """Errors of position [m] and orientation [rad], (n, 3) each."""
    moved, turned = [], []
    for _, reading in readings:
        position, quaternion = truth(reading.t)
        moved.append(reading.position - position)
        conjugate = quaternion * [1.0, -1.0, -1.0, -1.0]
        turned.append(rotations.log(rotations.multiply(reading.quaternion, conjugate)))
    return np.array(moved), np.array(turned)


def test_nominal_measurements_are_true_and_come_with_the_pipelines_latency() -> None:
    assert np.abs(joints(episodes=1)).max() < 1e-12
    readings = poses()
    assert len(readings) == pytest.approx(60 * CAMERA_RATE, abs=2)
    moved, turned = errors(readings)
    assert max(np.abs(moved).max(), np.abs(turned).max()) < 1e-6
    ages = np.array([t - reading.t for t, reading in readings])
    assert PIPELINE_LATENCY - 1e-9 <= ages.min() <= ages.max() <= PIPELINE_LATENCY + TICK


def test_joint_noise_has_a_part_of_the_step_and_one_of_the_episode() -> None:
    error = joints(joint_noise=(0.01, 0.02))
    bias = error.mean(axis=1)
    assert bias.std() == pytest.approx(0.02, rel=0.1)
    assert (error - bias[:, None]).std() == pytest.approx(0.01, rel=0.02)


def test_late_joints_lag_behind_by_speed_times_latency() -> None:
    error = joints(episodes=1, joint_latency=0.013)[0]
    np.testing.assert_allclose(error[5:], -SPEED * 0.013, atol=1e-9)


@pytest.mark.parametrize("which", ["position", "rotation"])
def test_pose_noise_has_a_part_of_the_step_and_one_of_the_episode(which: str) -> None:
    """And the detector says how large the step's is."""
    biases, steps = [], []
    for seed in range(40):
        readings = poses(seed, seconds=10.0, **{f"{which}_noise": (0.02, 0.05)})
        error = errors(readings)[which == "rotation"]
        biases.append(error.mean(axis=0))
        steps.append(error - error.mean(axis=0))
        said = getattr(readings[0][1], f"{which}_sigma")
        assert 0.02 < said < 0.03
    assert np.std(biases) == pytest.approx(0.05, rel=0.15)
    assert np.std(np.concatenate(steps)) == pytest.approx(0.02, rel=0.05)


def test_delayed_poses_have_their_capture_time() -> None:
    readings = poses(pose_latency=0.05)
    ages = np.array([t - reading.t for t, reading in readings])
    assert ages.mean() == pytest.approx(PIPELINE_LATENCY + 0.05, abs=TICK)
    assert np.abs(errors(readings)[0]).max() < 1e-9


def test_missing_poses_have_the_universes_rate() -> None:
    share = len(poses(seconds=300.0, pose_dropout=0.3)) / (300 * CAMERA_RATE)
    assert share == pytest.approx(0.7, abs=0.03)


def test_poses_freeze_for_a_second_at_the_universes_rate() -> None:
    readings = poses(seconds=600.0, pose_freeze=0.1)
    gaps = np.diff([reading.t for _, reading in readings])
    long = gaps[gaps > 0.5]
    # One begins every 1/0.1 s plus the second that it lasts.
    assert len(long) == pytest.approx(600 / 11, rel=0.35)
    assert long.min() >= 1.0 and np.median(long) < 1.0 + 2.0 / CAMERA_RATE


def test_outliers_have_the_universes_rate() -> None:
    _, turned = errors(poses(seconds=300.0, pose_outlier=0.1))
    # One random orientation of about 20 is within half a radian by chance.
    assert (np.linalg.norm(turned, axis=-1) > 0.1).mean() == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize("interval", [0.1, 0.3])
def test_poses_come_no_more_often_than_their_interval(interval: float) -> None:
    readings = poses(pose_interval=interval)
    gaps = np.diff([reading.t for _, reading in readings])
    assert gaps.mean() == pytest.approx(interval, abs=1e-3)
    assert gaps.min() >= interval - TICK - 1e-9
    # An interval shorter than the cameras' own changes nothing.
    assert len(poses(pose_interval=0.05)) == len(poses())


def test_pauses_of_the_controller_have_their_rate_and_length() -> None:
    universe = Universe(pause_rate=0.5, pause_time=0.12)
    pauses = Pauses(universe, np.random.default_rng(3))
    seen = np.array([pauses.pausing(t, TICK) for t in TICK * np.arange(100_000)])
    began = int(np.sum(np.diff(seen.astype(int)) == 1))
    # 472 are expected, give or take 20.
    assert began / 1000.0 == pytest.approx(1.0 / 2.12, rel=0.15)
    assert seen.sum() * TICK / began == pytest.approx(0.12, rel=0.02)
    nobody = Pauses(Universe(), np.random.default_rng(3))
    assert not any(nobody.pausing(t, TICK) for t in TICK * np.arange(100))
