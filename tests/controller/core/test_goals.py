"""Goals: goal orientations, the queue, and the conditions for reaching a goal."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inhand.controller.core.goals import (
    FaceUp,
    GoalKeeper,
    Orientation,
    RandomGoal,
    Turn,
    resolve,
)
from inhand.perception import rotations
from inhand.perception.objects import load_object
from inhand.perception.records import ConfirmedPose, ObjectPose
from inhand.perception.rotations import Array

BLOCK, PRISM = load_object("block"), load_object("prism")
UP = np.array([0.0, 0.0, 1.0])
TERMS = {"tolerance": 0.2, "hold": 0.0, "timeout": 0.0}

quaternions = st.integers(0, 2**32 - 1).map(
    lambda seed: rotations.random_quaternion(np.random.default_rng(seed))
)


def pose(quaternion: Array) -> ObjectPose:
    zeros = np.zeros(3)
    return ObjectPose(0.0, zeros, quaternion, zeros, zeros, 1e-6 * np.eye(12), 0.0)


def frame(t: float, angle: float = 0.0, doubt: float = 0.001) -> ConfirmedPose:
    """A frame of an object turned about the vertical [rad]."""
    return ConfirmedPose(t, np.zeros(3), rotations.exp(angle * UP), doubt**2 * np.eye(6))


def come_to(aim: Orientation | FaceUp | Turn | RandomGoal, quaternion: Array) -> Array:
    return resolve(aim, quaternion, BLOCK, np.random.default_rng(0))


@pytest.mark.parametrize("target", [BLOCK, PRISM], ids=lambda target: target.name)
def test_a_face_is_up_by_the_shortest_way_or_with_a_heading(target: object) -> None:
    rng = np.random.default_rng(1)
    for face, normal in target.faces.items():
        for _ in range(10):
            now = rotations.random_quaternion(rng)
            goal = resolve(FaceUp(face), now, target, rng)
            np.testing.assert_allclose(rotations.rotate(goal, normal), UP, atol=1e-7)
            tilt = np.arccos(np.clip(rotations.rotate(now, normal) @ UP, -1, 1))
            assert float(rotations.angle_between(goal, now)) == pytest.approx(tilt, abs=1e-6)
            turned = [resolve(FaceUp(face, heading), now, target, rng) for heading in (0.0, 1.0)]
            np.testing.assert_allclose(rotations.rotate(turned[1], normal), UP, atol=1e-7)
            about = rotations.multiply(turned[1], rotations.conjugate(turned[0]))
            np.testing.assert_allclose(rotations.log(about), UP, atol=1e-7)


@settings(deadline=None)
@given(quaternions, quaternions)
def test_orientations_and_turns(now: Array, wanted: Array) -> None:
    np.testing.assert_array_equal(come_to(Orientation(wanted), now), wanted)
    turn = rotations.log(rotations.multiply(wanted, rotations.conjugate(now)))
    assert float(rotations.angle_between(come_to(Turn(turn), now), wanted)) < 1e-6


@settings(deadline=None)
@given(quaternions, st.floats(0.1, np.pi))
def test_random_goals_are_within_the_largest_angle(now: Array, most: float) -> None:
    goal = come_to(RandomGoal("so3", most), now)
    assert float(rotations.angle_between(goal, now)) <= most + 1e-6
    face = come_to(RandomGoal("face-up"), now)
    tops = [rotations.rotate(face, normal) @ UP for normal in BLOCK.faces.values()]
    assert max(tops) == pytest.approx(1.0)


def test_the_same_seed_draws_the_same_goals() -> None:
    def drawn(keeper: GoalKeeper) -> Array:
        keeper.clear()
        keeper.reseed(9)
        keeper.add([RandomGoal()], **TERMS)
        keeper.update(0.0, pose(np.array([1.0, 0, 0, 0])), [])
        assert keeper.active is not None
        return keeper.active.quaternion

    keeper = GoalKeeper(BLOCK, np.random.default_rng())
    np.testing.assert_array_equal(drawn(keeper), drawn(keeper))


def keeper_of(hold: float = 0.0, tolerance: float = 0.2, angle: float = 0.0) -> GoalKeeper:
    """A goal that began at 0 s: an orientation turned about the vertical [rad]."""
    keeper = GoalKeeper(BLOCK, np.random.default_rng(4))
    goal = Orientation(rotations.exp(angle * UP))
    keeper.add([goal], tolerance=tolerance, hold=hold, timeout=0.0)
    keeper.update(0.0, pose(rotations.IDENTITY), [])
    return keeper


def reached(keeper: GoalKeeper, t: float, *frames: ConfirmedPose, in_hand: bool = True) -> bool:
    """Whether the goal is reached by these frames, which come at `t` [s]."""
    outcomes = keeper.update(t, pose(rotations.IDENTITY), frames, in_hand=in_hand)
    return [outcome.kind for outcome in outcomes] == ["reached"]


def test_a_prediction_reaches_no_goal() -> None:
    keeper = keeper_of()
    assert not any(reached(keeper, 0.01 * tick) for tick in range(1, 100))


@pytest.mark.parametrize("delay", [0.0, 0.06, 0.2, 0.5])
def test_a_frame_counts_from_its_capture_however_late_it_comes(delay: float) -> None:
    keeper = keeper_of()
    assert reached(keeper, 0.1 + delay, frame(0.1, 0.1))
    assert keeper.empty and keeper.reached == 1


def test_a_frame_from_before_the_goal_does_not_count() -> None:
    keeper = keeper_of()
    assert not reached(keeper, 0.01, frame(-0.03))
    assert reached(keeper, 0.07, frame(0.04))


def test_a_reached_goal_states_error_and_capture_of_the_frame_that_confirmed_it() -> None:
    keeper = keeper_of(hold=0.05)
    (outcome,) = keeper.update(
        0.4, pose(rotations.exp(UP)), [frame(0.2, 0.15), frame(0.26, 0.1), frame(0.3, 1.0)]
    )
    assert outcome.kind == "reached" and outcome.goal.error == pytest.approx(0.1)
    assert (outcome.goal.within_since, outcome.goal.captured, outcome.t) == (0.2, 0.26, 0.4)


@pytest.mark.parametrize(("doubt", "enough"), [(0.05, True), (0.11, False)])
def test_the_error_plus_one_standard_deviation_must_be_within_tolerance(
    doubt: float, enough: bool
) -> None:
    keeper = keeper_of()
    assert reached(keeper, 0.1, frame(0.1, 0.1, doubt)) == enough


def test_a_tolerance_of_half_a_turn_is_met_with_any_uncertainty() -> None:
    keeper = keeper_of(tolerance=3.15, angle=3.0)
    assert reached(keeper, 0.1, frame(0.1, doubt=1.0))


def test_every_frame_of_the_hold_time_must_be_within_tolerance() -> None:
    keeper = keeper_of(hold=0.25)
    errors = [0.1, 0.1, 0.3, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1]
    times = [
        i for i, error in enumerate(errors) if reached(keeper, 0.07 * i, frame(0.07 * i, error))
    ]
    # From the fourth frame on, four periods of 0.07 s.
    assert times == [7]


def test_a_late_frame_of_another_camera_that_is_not_within_tolerance_starts_it_anew() -> None:
    keeper = keeper_of(hold=0.2)
    for t in (0.05, 0.12, 0.19):
        assert not reached(keeper, t + 0.03, frame(t))
    # The frame of 0.1 s comes now; the ones after it are given again.
    assert not reached(keeper, 0.23, frame(0.1, 0.5), frame(0.12), frame(0.19))
    assert not reached(keeper, 0.28, frame(0.26))
    assert reached(keeper, 0.36, frame(0.33))


def test_blindness_starts_the_hold_time_anew() -> None:
    keeper = keeper_of(hold=0.2)
    assert not reached(keeper, 0.1, frame(0.1))
    assert not reached(keeper, 0.4, frame(0.4))
    assert not reached(keeper, 0.5, frame(0.5))
    assert reached(keeper, 0.6, frame(0.6))


def test_a_pause_starts_the_hold_time_anew() -> None:
    keeper = keeper_of(hold=0.2)
    assert not reached(keeper, 0.1, frame(0.1)) and not reached(keeper, 0.2, frame(0.2))
    keeper.interrupt()
    assert not reached(keeper, 0.3, frame(0.3))
    assert not reached(keeper, 0.4, frame(0.4))
    assert reached(keeper, 0.5, frame(0.5))


def test_an_object_outside_the_hand_reaches_no_goal_and_restarts_the_hold_time_inside() -> None:
    keeper = keeper_of(hold=0.1)
    for tick in range(30):
        assert not reached(keeper, 0.01 * tick, frame(0.01 * tick), in_hand=False)
    times = [t for t in range(30, 60) if reached(keeper, 0.01 * t, frame(0.01 * t))]
    assert times == [40]


@pytest.mark.parametrize("turned", [0.0, 1.0, -2.5])
def test_a_face_up_without_a_heading_is_reached_by_tilt_alone(turned: float) -> None:
    keeper = GoalKeeper(BLOCK, np.random.default_rng(4))
    start = rotations.exp(np.array([1.0, 0.0, 0.0]))
    keeper.add([FaceUp("+z")], tolerance=0.1, hold=0.0, timeout=0.0)
    keeper.update(0.0, pose(start), [])
    now = rotations.multiply(rotations.exp(turned * UP), rotations.exp(np.array([0.05, 0.0, 0.0])))
    seen = ConfirmedPose(0.1, np.zeros(3), now, 1e-6 * np.eye(6))
    (outcome,) = keeper.update(0.1, pose(now), [seen])
    assert outcome.kind == "reached" and outcome.goal.error == pytest.approx(0.05)


def test_a_face_up_with_a_heading_needs_it() -> None:
    keeper = GoalKeeper(BLOCK, np.random.default_rng(4))
    keeper.add([FaceUp("+z", 0.0)], tolerance=0.1, hold=0.0, timeout=0.0)
    keeper.update(0.0, pose(rotations.IDENTITY), [])
    assert not reached(keeper, 0.1, frame(0.1, 1.0))
    assert reached(keeper, 0.2, frame(0.2, 0.05))


@pytest.mark.parametrize("symmetry", [False, True])
def test_symmetry_makes_orientations_that_look_alike_one_goal(symmetry: bool) -> None:
    keeper = GoalKeeper(PRISM, np.random.default_rng(4))
    goal = Orientation(rotations.exp(np.array([0.3, 0.0, 0.0])))
    keeper.add([goal], tolerance=0.1, hold=0.0, timeout=0.0, symmetry=symmetry)
    # An eighth of a turn about the prism's axis.
    now = rotations.multiply(goal.quaternion, rotations.exp(np.pi / 4 * UP))
    (started,) = keeper.update(0.0, pose(now), [])
    assert started.goal.error == pytest.approx(0.0 if symmetry else np.pi / 4, abs=1e-6)
    seen = ConfirmedPose(0.1, np.zeros(3), now, 1e-6 * np.eye(6))
    outcomes = keeper.update(0.1, pose(now), [seen])
    assert [outcome.kind for outcome in outcomes] == ["reached"] * symmetry


def test_a_goal_that_takes_long_is_reported_again_and_again() -> None:
    keeper = GoalKeeper(BLOCK, np.random.default_rng(4), overdue=0.5)
    keeper.add([Orientation(rotations.exp(UP))], tolerance=0.1, hold=0.0, timeout=1.8)
    said = [
        (round(0.01 * tick, 2), outcome.kind)
        for tick in range(200)
        for outcome in keeper.update(0.01 * tick, pose(rotations.IDENTITY), [])
    ]
    assert said == [
        (0.0, "started"),
        (0.5, "overdue"),
        (1.0, "overdue"),
        (1.5, "overdue"),
        (1.8, "missed"),
    ]
