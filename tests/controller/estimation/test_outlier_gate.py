"""The outlier gate: what is accepted, what is rejected, and when the filter re-initialises."""

import numpy as np

from inhand.controller.estimation.fusion import PoseFilter
from inhand.perception import rotations
from inhand.perception.records import TagCorners, frozen_array
from inhand.sim_backend.rig import default_rig
from tests.controller.fused import BLOCK, CENTER, feed, measured, predicted


def test_a_single_outlier_changes_nothing() -> None:
    rng = np.random.default_rng(3)
    pose_filter, undisturbed = PoseFilter(BLOCK, {}), PoseFilter(BLOCK, {})
    for k in range(30):
        measurement = measured(k / 15, rng)
        feed(undisturbed, measurement)
        feed(pose_filter, measurement)
        if k == 20:
            t, position, quaternion = measured((k + 0.5) / 15, rng)
            feed(pose_filter, (t, position + [0.1, 0.0, 0.0], quaternion))
            assert pose_filter.rejected == 1
    one, other = predicted(pose_filter, 2.0), predicted(undisturbed, 2.0)
    np.testing.assert_allclose(one.position, other.position, atol=1e-12)
    assert pose_filter.recoveries == 0


def test_inconsistent_outliers_are_never_accepted() -> None:
    rng = np.random.default_rng(4)
    pose_filter = PoseFilter(BLOCK, {})
    for k in range(60):
        t, position, quaternion = measured(k / 15, rng)
        if k >= 15:
            position = position + 0.3 * rng.standard_normal(3)
            quaternion = rotations.random_quaternion(rng)
        feed(pose_filter, (t, position, quaternion))
    assert pose_filter.recoveries == 0
    assert predicted(pose_filter, 60 / 15).age > 2.9


def test_an_object_that_was_moved_by_hand_is_found_again() -> None:
    rng = np.random.default_rng(5)
    pose_filter = PoseFilter(BLOCK, {})
    moved = np.array([0.06, -0.05, 0.1])
    for k in range(30):
        t, position, quaternion = measured(k / 15, rng)
        if k >= 15:
            position = position + moved
        feed(pose_filter, (t, position, quaternion))
        if 15 <= k < 23:
            assert np.linalg.norm(predicted(pose_filter, t).position - position) > 0.05
        if k >= 23:
            assert np.linalg.norm(predicted(pose_filter, t).position - position) < 0.005
    assert (pose_filter.rejected, pose_filter.recoveries) == (8, 1)


def test_an_object_put_back_in_view_of_several_cameras_is_found_within_three_frames() -> None:
    rng = np.random.default_rng(14)
    rig = default_rig()
    pose_filter = PoseFilter(BLOCK, rig)
    ids = tuple(tag.id for tag in BLOCK.tags[2:5:2])
    for k in range(30):
        position = CENTER + ([0.0, 0.0, 0.0] if k >= 15 else [0.06, -0.05, 0.02])
        quaternion = rotations.exp(np.array([0.0, 0.0, 1.2 if k >= 15 else 0.0]))
        frames = []
        for name, camera in rig.items():
            points = np.stack([BLOCK.tag(tag).corners for tag in ids])
            corners = camera.project(
                position + rotations.rotate(quaternion, points.reshape(-1, 3))
            ) + rng.normal(0.0, 0.1, (4 * len(ids), 2))
            frames.append(
                TagCorners(k / 15, name, ids, frozen_array(corners.reshape(-1, 4, 2)), 0.1)
            )
        pose_filter.update(*frames)
        away = np.linalg.norm(predicted(pose_filter, k / 15).position - position)
        assert (away > 0.05) if k in (15, 16) else (away < 0.002)
    assert (pose_filter.rejected, pose_filter.recoveries) == (2, 1)


def test_an_object_that_was_turned_on_the_spot_is_found_within_three_poses() -> None:
    rng = np.random.default_rng(15)
    pose_filter = PoseFilter(BLOCK, {})
    turn = rotations.exp(np.array([0.0, 2.5, 0.0]))
    for k in range(30):
        t, position, quaternion = measured(k / 15, rng)
        if k >= 15:
            quaternion = rotations.multiply(quaternion, turn)
        feed(pose_filter, (t, position, quaternion))
        wrong = rotations.angle_between(predicted(pose_filter, t).quaternion, quaternion)
        assert (wrong > 1.0) if k in (15, 16) else (wrong < 0.3)


def test_poses_ten_centimetres_off_for_half_a_second_are_rejected() -> None:
    rng = np.random.default_rng(11)
    pose_filter = PoseFilter(BLOCK, {})
    for k in range(60):
        t, position, quaternion = measured(k / 15, rng)
        off = 30 <= k < 38
        feed(pose_filter, (t, position + [0.0, 0.1, 0.0] if off else position, quaternion))
        pose = predicted(pose_filter, t)
        assert np.linalg.norm(pose.position - position) < (0.025 if off else 0.005)
    assert (pose_filter.rejected, pose_filter.recoveries) == (8, 0)


def test_an_object_far_from_where_an_occlusion_left_it_is_found_again() -> None:
    rng = np.random.default_rng(12)
    pose_filter = PoseFilter(BLOCK, {})
    for k in [*range(15), *range(30, 40)]:
        t, position, quaternion = measured(k / 15, rng)
        feed(pose_filter, (t, position + [0.0, 0.1, 0.0] if k >= 30 else position, quaternion))
    assert predicted(pose_filter, 39 / 15).age < 0.01
    assert (pose_filter.rejected, pose_filter.recoveries) == (2, 1)


def test_the_problem_with_the_measurements_is_reported() -> None:
    rng = np.random.default_rng(17)
    pose_filter = PoseFilter(BLOCK, {})
    assert "has seen the object" in pose_filter.problem
    for k in range(15):
        feed(pose_filter, measured(k / 15, rng))
    assert pose_filter.problem == ""
    # A time stamp that went backwards by a second changes nothing but this.
    believed = predicted(pose_filter, 1.0)
    t, position, quaternion = measured(0.0, rng)
    feed(pose_filter, (t - 0.1, position, quaternion))
    assert "after the others" in pose_filter.problem and pose_filter.late == 1
    np.testing.assert_array_equal(predicted(pose_filter, 1.0).position, believed.position)
    t, position, quaternion = measured(1.0, rng)
    feed(pose_filter, (t, position + 0.1, quaternion))
    assert "does not follow" in pose_filter.problem
    feed(pose_filter, measured(1.05, rng))
    assert pose_filter.problem == ""


def test_of_two_solutions_the_prediction_chooses() -> None:
    rng = np.random.default_rng(6)
    rig = default_rig()
    camera = rig["wrist"]
    pose_filter = PoseFilter(BLOCK, rig)
    position = CENTER
    steps = 0
    quaternion = rotations.exp(np.array([0.25, 0.1, 0.4]))
    for k in range(60):
        pose_filter.update_pose(k / 30, position, quaternion, 5e-4, 5e-3)
    for k in range(60, 120):
        corners = camera.project(position + rotations.rotate(quaternion, BLOCK.tag(4).corners))
        corners = corners + rng.normal(0.0, 0.4, corners.shape)
        frame = TagCorners(k / 30, "wrist", (4,), frozen_array(corners[None]), 0.4)
        pose_filter.update(frame)
        angle = rotations.angle_between(predicted(pose_filter, k / 30).quaternion, quaternion)
        assert angle < 0.25
        steps += 1
    assert steps == 60 and pose_filter.recoveries == 0
