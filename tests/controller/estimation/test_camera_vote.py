"""Cameras vote: one that was moved does not capture the estimate, is named, and corrected."""

import numpy as np
import pytest

from inhand.controller.core.controller import Controller
from inhand.controller.estimation.fusion import PoseFilter
from inhand.hardware.model.hand import load_hand
from inhand.hardware.records import JointState, frozen_array
from inhand.perception import rotations
from inhand.perception.cameras import Camera
from inhand.perception.records import CameraFit, TagCorners
from inhand.perception.rotations import Array
from inhand.sim_backend.rig import default_rig
from tests.controller.fused import BLOCK, CENTER
from tests.controller.sighted import frames, turned

HAND = load_hand("dactyl24")
QUATERNION = rotations.exp(np.array([0.4, -0.3, 0.8]))


def trajectory(t: float) -> tuple[Array, Array]:
    """An object in the hand that sways a little."""
    turn = rotations.exp(0.3 * np.sin(2 * t) * np.array([0.6, 0.0, 0.8]))
    return CENTER + 0.003 * np.sin(3 * t + np.arange(3.0)), rotations.multiply(turn, QUATERNION)


def rig(bad: str, degrees: float) -> tuple[dict[str, Camera], dict[str, Camera]]:
    """The rig as calibrated, the bad camera first, and as it really is."""
    known = default_rig()
    known = {bad: known.pop(bad)} | known
    real = dict(known)
    real[bad] = turned(known[bad], np.radians(degrees), np.array([0.5, 0.2, 0.8]))
    return known, real


def watched(
    bad: str, degrees: float, *, staggered: bool, seconds: float = 2.5, blind: bool = False
) -> tuple[PoseFilter, Array]:
    """A filter that has seen the object through a rig with a bad camera.

    Returns:
        The filter, and by time [s] the error [m, rad], (n, 3); without a pose infinite.
    """
    rng = np.random.default_rng(41)
    known, real = rig(bad, degrees)
    pose_filter = PoseFilter(BLOCK, known, hand=HAND)
    start = 0.0
    if blind:
        for one in frames(BLOCK, known, trajectory, rng, 0.5, staggered=staggered):
            pose_filter.update(one)
        start = 1.2
    errors = []
    together: dict[float, list[TagCorners]] = {}
    for one in frames(BLOCK, real, trajectory, rng, seconds, start=start, staggered=staggered):
        together.setdefault(one.t, []).append(one)
    for t, seen in together.items():
        pose_filter.update(*seen)
        pose, (position, quaternion) = pose_filter.predict(t), trajectory(t)
        fresh = pose is not None and pose.age < 0.01
        if pose is None or (not staggered and not fresh):
            errors.append([t, np.inf, np.inf])
            continue
        angle = rotations.angle_between(pose.quaternion, quaternion)
        errors.append([t, np.linalg.norm(pose.position - position), angle])
    return pose_filter, np.array(errors)


def fits(pose_filter: PoseFilter) -> dict[str, CameraFit]:
    return {fit.camera: fit for fit in pose_filter.health.cameras}


@pytest.mark.parametrize("bad", ["left", "right", "wrist"])
@pytest.mark.parametrize("blind", [False, True])
def test_a_camera_that_was_turned_does_not_capture_the_estimate(bad: str, blind: bool) -> None:
    pose_filter, errors = watched(bad, 6.0, staggered=True, blind=blind)
    later = errors[errors[:, 0] > errors[0, 0] + 0.3]
    assert later[:, 1].max() < 0.006 and later[:, 2].max() < 0.1
    fit = fits(pose_filter)[bad]
    assert fit.turn == pytest.approx(np.radians(6.0), abs=0.01) and fit.used
    assert "was moved: " in fit.problem and "corrected for now" in fit.problem
    assert not any(one.problem for one in fits(pose_filter).values() if one.camera != bad)
    # Its corrected frames are accepted again.
    rejected = pose_filter.rejected
    rng = np.random.default_rng(42)
    for one in frames(BLOCK, rig(bad, 6.0)[1], trajectory, rng, 0.5, start=errors[-1, 0] + 0.05):
        pose_filter.update(one)
    assert pose_filter.rejected == rejected


@pytest.mark.parametrize("staggered", [True, False])
@pytest.mark.parametrize("degrees", [0.7, 1.0, 2.0])
def test_a_camera_that_is_off_by_a_degree_is_named_and_corrected(
    degrees: float, staggered: bool
) -> None:
    pose_filter, errors = watched("left", degrees, staggered=staggered)
    fit = fits(pose_filter)["left"]
    assert fit.turn == pytest.approx(np.radians(degrees), abs=0.004) and fit.used
    later = errors[errors[:, 0] > 1.5]
    assert np.median(later[:, 1]) < 0.001 and later[:, 1].max() < 0.003
    # At every instant two cameras agree, so there is a pose.
    assert np.isfinite(errors[:, 1]).all()


def test_a_camera_that_was_moved_too_far_is_not_used() -> None:
    pose_filter, errors = watched("left", 20.0, staggered=True)
    fit = fits(pose_filter)["left"]
    assert not fit.used and "not used" in fit.problem
    assert errors[errors[:, 0] > 0.5][:, 1].max() < 0.006


@pytest.mark.parametrize("staggered", [True, False])
def test_cameras_as_calibrated_are_left_alone(staggered: bool) -> None:
    pose_filter, _ = watched("left", 0.0, staggered=staggered)
    assert len(fits(pose_filter)) == 3
    for fit in fits(pose_filter).values():
        assert (fit.problem, fit.turn, fit.shift) == ("", 0.0, 0.0) and fit.residual < 0.001


def test_a_camera_that_is_put_back_is_no_longer_corrected() -> None:
    pose_filter, errors = watched("right", 3.0, staggered=True)
    assert fits(pose_filter)["right"].turn > 0.04
    rng = np.random.default_rng(43)
    start = float(errors[-1, 0]) + 0.05
    for one in frames(BLOCK, default_rig(), trajectory, rng, 8.0, start=start):
        pose_filter.update(one)
    assert fits(pose_filter)["right"].problem == ""


def test_of_two_cameras_that_contradict_each_other_neither_is_blamed() -> None:
    known = {name: camera for name, camera in default_rig().items() if name != "wrist"}
    real = known | {"left": turned(known["left"], np.radians(1.5), np.array([0.0, 0.0, 1.0]))}
    pose_filter = PoseFilter(BLOCK, known)
    for one in frames(BLOCK, real, trajectory, np.random.default_rng(44), 5.0):
        pose_filter.update(one)
    found = fits(pose_filter)
    assert "contradicts right" in found["left"].problem
    assert "contradicts left" in found["right"].problem
    assert found["left"].turn == found["right"].turn == 0.0


def test_the_controller_says_that_a_camera_was_moved() -> None:
    known, real = rig("wrist", 1.2)
    controller = Controller[TagCorners](HAND, BLOCK, PoseFilter(BLOCK, known, hand=HAND))
    zero = frozen_array(np.zeros(HAND.n_actuators))
    waiting = list(frames(BLOCK, real, trajectory, np.random.default_rng(45), 2.0))
    for tick in range(200):
        t = tick / 100
        arrived = [one for one in waiting if one.t <= t]
        waiting = waiting[len(arrived) :]
        controller.tick(t, JointState(t, frozen_array(HAND.rest), zero, zero), arrived)
    (event,) = (one for one in controller.take_events() if one.kind == "camera_moved")
    assert event.data["camera"] == "wrist" and "was moved: 1.2°" in event.data["problem"]
    health = controller.snapshot().fusion
    assert health.accepted > 70 and health.cameras
