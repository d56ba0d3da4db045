"""How often poses come, and at which age of the pose the hand pauses."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inhand.controller.safety.pose_timing import PoseTiming
from inhand.perception.records import ObjectPose, frozen_array

TICK = 0.01
PREDICT = 0.3


def pose_at(t: float, measured: float) -> ObjectPose:
    zero = frozen_array(np.zeros(3))
    return ObjectPose(
        t=t,
        position=zero,
        quaternion=frozen_array(np.array([1.0, 0.0, 0.0, 0.0])),
        linear_velocity=zero,
        angular_velocity=zero,
        covariance=frozen_array(np.eye(12)),
        age=t - measured,
    )


def watched(captures: Sequence[float], latency: float, seconds: float) -> tuple[PoseTiming, float]:
    """The timing after some seconds of ticks, and the largest age of the pose in the second half.

    Args:
        captures: when the frames are taken [s], in order.
        latency: from capture to arrival [s].
        seconds: number of seconds.
    """
    timing, oldest = PoseTiming(PREDICT), 0.0
    for tick in range(round(seconds / TICK)):
        t = tick * TICK
        arrived = [one for one in captures if one + latency <= t]
        if arrived:
            pose = pose_at(t, arrived[-1])
            timing.note(t, pose)
            oldest = max(oldest, pose.age if t > seconds / 2 else 0.0)
    return timing, oldest


@pytest.mark.parametrize("latency", [0.0, 0.05, 0.1])
def test_fast_cameras_have_the_shortest_limit(latency: float) -> None:
    timing, _ = watched(np.arange(0.0, 4.0, 0.067).tolist(), latency, 4.0)
    assert timing.limit == PREDICT
    assert timing.interval == pytest.approx(0.067, abs=1e-6)


@pytest.mark.parametrize(("interval", "latency"), [(0.3, 0.17), (0.2, 0.2), (0.067, 0.35)])
def test_slow_cameras_are_never_too_old_while_they_work(interval: float, latency: float) -> None:
    timing, oldest = watched(np.arange(0.0, 6.0, interval).tolist(), latency, 6.0)
    assert PREDICT < oldest < timing.limit <= 2 * PREDICT
    assert timing.interval == pytest.approx(interval, abs=1e-6)


def test_single_gaps_change_nothing() -> None:
    frames = np.arange(0.0, 6.0, 0.067)
    gaps = (frames % 2.0 > 1.0) & (frames % 2.0 < 1.7)
    timing, oldest = watched(frames[~gaps].tolist(), 0.05, 6.0)
    assert oldest > 0.6
    assert timing.limit == PREDICT


def test_nothing_is_known_before_the_second_pose() -> None:
    timing = PoseTiming(PREDICT)
    timing.note(0.0, None)
    timing.note(1.0, pose_at(1.0, 0.9))
    timing.note(2.0, pose_at(2.0, 0.9))
    assert (timing.limit, timing.interval) == (PREDICT, 0.0)


@given(st.lists(st.floats(0.0, 3.0), max_size=60), st.floats(0.0, 2.0))
def test_the_limit_stays_within_its_bounds(gaps: list[float], latency: float) -> None:
    timing, captured = PoseTiming(PREDICT), 0.0
    for gap in gaps:
        captured += gap
        timing.note(captured + latency, pose_at(captured + latency, captured))
        assert PREDICT <= timing.limit <= 2 * PREDICT
        assert timing.interval >= 0.0
