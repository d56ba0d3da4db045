"""Poses with a network's measured errors: repeated in stretches, beside the universe's own."""

from pathlib import Path

import numpy as np
import pytest

from inhand.controller.estimation.pose_measurements import PoseFeed, PoseReading
from inhand.hardware.model.universe import Universe
from inhand.perception import rotations
from inhand.perception.objects import load_object
from inhand.perception.rotations import Array
from inhand.training.sensors.measured_errors import (
    STRETCH,
    ErrorFileError,
    MeasuredErrors,
    MeasuredPoses,
    load_errors,
)

COUNT = 120
COVARIANCE = np.diag(np.repeat([4e-6, 9e-4], 3))


def measured() -> MeasuredErrors:
    """Four sequences of errors that count up, so that each says which picture it is from."""
    rng = np.random.default_rng(1)
    errors = np.zeros((COUNT, 6))
    errors[:, 0] = 1e-5 * np.arange(COUNT)
    seen = rng.random(COUNT) > 0.2
    return MeasuredErrors(
        sequence=np.repeat(np.arange(4), COUNT // 4),
        views=rotations.random_quaternion(rng, (COUNT,)),
        seen=seen,
        errors=errors * seen[:, None],
        covariances=COVARIANCE * seen[:, None, None],
        source="a test",
    )


def readings(errors: MeasuredErrors, turn: Array, **universe: float) -> list[PoseReading]:
    sensor = MeasuredPoses(errors, Universe(**universe), np.random.default_rng(3))
    ticks = 0.01 * np.arange(6000)
    return [reading for t in ticks for reading in sensor.read(t, np.zeros(3), turn)]


def numbers(found: list[PoseReading]) -> Array:
    return np.array([round(1e5 * reading.position[0]) for reading in found])


def test_errors_come_in_stretches_from_similar_views() -> None:
    errors = measured()
    turn = errors.views[50]
    found = readings(errors, turn)
    here = numbers(found)
    # A fifth of the pictures had no pose.
    assert 0.7 * 900 < len(found) < 0.9 * 900
    assert errors.seen[here].all()
    forward = np.diff(here)
    within = (forward >= 1) & (forward < STRETCH)
    assert within.mean() > 0.85
    begins = here[1:][~within]
    nearness = np.sort(np.abs(errors.views @ turn))[::-1]
    assert np.mean(np.abs(errors.views[begins] @ turn) >= nearness[7] - 1e-9) > 0.7
    assert {
        tuple(reading.covariance.ravel()) for reading in found if reading.covariance is not None
    }
    assert np.array_equal(numbers(readings(errors, turn)), here)


def test_what_the_universe_adds_is_added_and_declared() -> None:
    errors = measured()
    plain = readings(errors, rotations.IDENTITY)
    noisy = readings(errors, rotations.IDENTITY, pose_dropout=0.5)
    assert len(noisy) < 0.6 * len(plain)
    sensor = MeasuredPoses(errors, Universe(position_noise=(0.003, 0.0)), np.random.default_rng(3))
    spread = [
        r for k in range(6000) for r in sensor.read(0.01 * k, np.zeros(3), rotations.IDENTITY)
    ]
    assert np.std([r.position[1] for r in spread]) == pytest.approx(0.003, rel=0.1)
    assert spread[0].covariance is not None
    assert spread[0].covariance[1, 1] == pytest.approx(4e-6 + 9e-6)


def test_the_filter_weighs_a_pose_by_its_own_covariance() -> None:
    feeds = []
    for scale in (1.0, 25.0):
        feed = PoseFeed(load_object("block"))
        for k in range(10):
            feed.update(PoseReading(k / 15, np.zeros(3), rotations.IDENTITY, covariance=COVARIANCE))
        off = np.array([0.004, 0.0, 0.0])
        feed.update(PoseReading(10 / 15, off, rotations.IDENTITY, covariance=scale * COVARIANCE))
        pose = feed.predict(10 / 15)
        assert pose is not None
        feeds.append(pose.position[0])
    assert feeds[0] > 2 * feeds[1] > 0


def test_files_come_back_and_damaged_ones_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "eyes.errors.npz"
    errors = measured()
    errors.save(path)
    back = load_errors(path)
    assert back.source == "a test" and np.array_equal(back.seen, errors.seen)
    np.testing.assert_allclose(back.errors, errors.errors, atol=1e-9)
    np.testing.assert_allclose(back.covariances, errors.covariances, rtol=1e-6)
    assert "poses in 120 instants" in back.text
    path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(ErrorFileError, match="inhand vision errors"):
        load_errors(path)
    with pytest.raises(ErrorFileError, match="none.npz"):
        load_errors(tmp_path / "none.npz")
