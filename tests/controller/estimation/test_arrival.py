"""The pose filter: measurements that arrive late, out of order, at once, or each on its own."""

from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inhand.controller.estimation import fusion
from inhand.controller.estimation.fusion import PoseFilter
from inhand.controller.estimation.outlier_gate import FusionSettings, step
from inhand.controller.estimation.pose_state import PoseState
from inhand.perception import rotations
from inhand.perception.records import ObjectPose
from inhand.sim_backend.rig import default_rig
from tests.controller.fused import (
    BLOCK,
    Measurement,
    assert_sound,
    feed,
    frames_at,
    histories,
    measured,
    predicted,
    truth,
)


@given(histories(), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_the_order_of_arrival_within_the_window_does_not_matter(
    history: list[Measurement], random: Random
) -> None:
    within = [m for m in history if m[0] > history[-1][0] - 0.15]
    shuffled = list(within)
    random.shuffle(shuffled)
    in_order, out_of_order = PoseFilter(BLOCK, {}), PoseFilter(BLOCK, {})
    for measurement in within:
        feed(in_order, measurement)
    for measurement in shuffled:
        feed(out_of_order, measurement)
    t = history[-1][0] + 0.05
    one, other = predicted(in_order, t), predicted(out_of_order, t)
    for name in ("position", "quaternion", "linear_velocity", "angular_velocity", "covariance"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert (in_order.accepted, in_order.rejected) == (out_of_order.accepted, out_of_order.rejected)


@pytest.mark.parametrize("latency", [0.0, 0.06, 0.2, 0.4])
def test_with_latency_the_error_grows_and_nothing_jumps(latency: float) -> None:
    rng = np.random.default_rng(16)
    pose_filter = PoseFilter(BLOCK, {})
    waiting: list[Measurement] = []
    before: ObjectPose | None = None
    errors = []
    for tick in range(300):
        t = tick / 100
        if tick % 7 == 0:
            waiting.append(measured(t, rng))
        while waiting and waiting[0][0] + latency <= t + 1e-9:
            feed(pose_filter, waiting.pop(0))
        pose = pose_filter.predict(t)
        if pose is None:
            continue
        assert_sound(pose)
        assert latency - 1e-9 <= pose.age <= latency + 0.08
        if before is not None:
            assert np.linalg.norm(pose.position - before.position) < 0.01
            assert rotations.angle_between(pose.quaternion, before.quaternion) < 0.4
        before = pose
        errors.append(float(rotations.angle_between(pose.quaternion, truth(t)[1])))
    assert (pose_filter.rejected, pose_filter.late, pose_filter.problem) == (0, 0, "")
    # What a block at 2 rad/s turns in the time, and what its acceleration adds to that.
    assert np.percentile(errors, 95) < 0.12 + 2.5 * latency


def test_frames_of_one_trigger_are_pooled_however_they_arrive() -> None:
    rig = default_rig()
    filters = [PoseFilter(BLOCK, rig) for _ in range(3)]
    rng = np.random.default_rng(7)
    for k in range(10):
        frames = frames_at(0.2 * k / 10, 0.1, rng)
        filters[0].update(*frames)
        for frame in frames:
            filters[1].update(frame)
        for frame in reversed(frames):
            filters[2].update(frame)
    poses = [predicted(one, 0.2) for one in filters]
    for pose in poses[1:]:
        # Equal but for what the iterations leave.
        np.testing.assert_allclose(pose.position, poses[0].position, atol=5e-5)
        variances = np.diag(pose.covariance), np.diag(poses[0].covariance)
        np.testing.assert_allclose(*variances, rtol=0.05)
    assert [one.accepted for one in filters] == [10, 10, 10]
    assert np.linalg.norm(poses[0].position - truth(0.2)[0]) < 1e-3


def test_free_running_cameras_count_each_at_their_own_time() -> None:
    rng = np.random.default_rng(8)
    pose_filter = PoseFilter(BLOCK, default_rig())
    for k in range(90):
        pose_filter.update(frames_at(k / 45, 0.1, rng)[k % 3])
    assert pose_filter.accepted > 80
    pose = predicted(pose_filter, 2.0)
    assert np.linalg.norm(pose.position - truth(2.0)[0]) < 3e-3
    assert rotations.angle_between(pose.quaternion, truth(2.0)[1]) < 0.1


def test_measurements_that_come_too_late_are_counted_and_ignored() -> None:
    rng = np.random.default_rng(9)
    pose_filter = PoseFilter(BLOCK, {}, FusionSettings(window=0.2))
    for k in range(10):
        feed(pose_filter, measured(k / 10, rng))
    before = predicted(pose_filter, 1.0)
    feed(pose_filter, (0.3, *truth(2.0)))
    after = predicted(pose_filter, 1.0)
    np.testing.assert_array_equal(before.position, after.position)
    assert pose_filter.late == 1


def test_a_measurement_exactly_a_window_old_is_counted_once() -> None:
    rng = np.random.default_rng(19)
    window = FusionSettings().window
    pose_filter, once = PoseFilter(BLOCK, {}), PoseFilter(BLOCK, {})
    first, last = measured(0.0, rng), measured(window, rng)
    for measurement in (first, last):
        feed(pose_filter, measurement)
        feed(once, measurement)
    feed(pose_filter, first)
    assert (pose_filter.accepted, pose_filter.late) == (2, 1)
    one, other = predicted(pose_filter, window), predicted(once, window)
    np.testing.assert_array_equal(one.covariance, other.covariance)


def test_a_camera_whose_frames_come_late_is_named_and_costs_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steps = []

    def counted(*arguments: Any) -> PoseState:
        steps.append(arguments[1].t)
        return step(*arguments)

    monkeypatch.setattr(fusion, "step", counted)
    rng = np.random.default_rng(20)
    rig = default_rig()
    pose_filter, without = PoseFilter(BLOCK, rig), PoseFilter(BLOCK, rig)
    seen = [frames_at(k / 30, 0.1, rng) for k in range(60)]
    for k, frames in enumerate(seen):
        punctual = [one for one in frames if one.camera != "wrist"]
        without.update(*punctual)
        steps.clear()
        late = [one for one in seen[max(k - 11, 0)] if one.camera == "wrist"] if k >= 11 else []
        pose_filter.update(*punctual, *late)
        assert len(steps) == 1
    assert pose_filter.late == 49 and "camera wrist" in pose_filter.problem
    one, other = predicted(pose_filter, 2.0), predicted(without, 2.0)
    np.testing.assert_array_equal(one.covariance, other.covariance)
    # In time again: the problem is over.
    pose_filter.update(*frames_at(2.0, 0.1, rng))
    assert pose_filter.problem == ""


def test_the_work_of_a_tick_is_bounded_whatever_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = []

    def counted(*arguments: Any) -> PoseState:
        steps.append(arguments[1].t)
        return step(*arguments)

    monkeypatch.setattr(fusion, "step", counted)
    rng = np.random.default_rng(23)
    pose_filter = PoseFilter(BLOCK, default_rig())
    backlog = [frames_at(k / 90, 0.1, rng)[k % 3] for k in range(90)]
    # A second of frames at once, after a pause of the program.
    pose_filter.update(*backlog)
    most = FusionSettings().repeated
    assert len(steps) <= most + 1
    assert predicted(pose_filter, 89 / 90).age == pytest.approx(0.0, abs=1e-9)
    # Frames of one more camera at 90 Hz, each 0.14 s late.
    for k in range(90, 120):
        steps.clear()
        pose_filter.update(frames_at(k / 90, 0.1, rng)[0], frames_at(k / 90 - 0.14, 0.1, rng)[1])
        assert len(steps) <= most + 2
