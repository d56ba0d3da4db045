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
    random_rotation,
    resolve,
    shortest_turn,
)
from inhand.perception import rotations
from inhand.perception.objects import load_object
from inhand.perception.records import ObjectPose
from inhand.perception.rotations import Array

BLOCK, PRISM = load_object("block"), load_object("prism")
UP = np.array([0.0, 0.0, 1.0])
TERMS = {"tolerance": 0.2, "hold": 0.0, "timeout": 0.0}

quaternions = st.integers(0, 2**32 - 1).map(
    lambda seed: rotations.random_quaternion(np.random.default_rng(seed))
)
vectors = st.integers(0, 2**32 - 1).map(
    lambda seed: (lambda v: v / np.linalg.norm(v))(np.random.default_rng(seed).standard_normal(3))
)


def pose(quaternion: Array, age: float = 0.0, doubt: float = 0.001) -> ObjectPose:
    zeros = np.zeros(3)
    return ObjectPose(0.0, zeros, quaternion, zeros, zeros, doubt**2 * np.eye(12), age)


def come_to(aim: Orientation | FaceUp | Turn | RandomGoal, quaternion: Array) -> Array:
    return resolve(aim, quaternion, BLOCK, np.random.default_rng(0))


@given(vectors, vectors)
def test_the_shortest_turn_takes_one_vector_to_the_other(one: Array, other: Array) -> None:
    for target in (other, one, -one):
        turn = shortest_turn(one, target)
        np.testing.assert_allclose(rotations.rotate(turn, one), target, atol=1e-7)
        angle = np.arccos(np.clip(one @ target, -1, 1))
        identity = np.array([1.0, 0, 0, 0])
        assert float(rotations.angle_between(turn, identity)) == pytest.approx(angle, abs=1e-6)


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


@given(quaternions, quaternions)
def test_orientations_and_turns(now: Array, wanted: Array) -> None:
    np.testing.assert_array_equal(come_to(Orientation(wanted), now), wanted)
    turn = rotations.log(rotations.multiply(wanted, rotations.conjugate(now)))
    assert float(rotations.angle_between(come_to(Turn(turn), now), wanted)) < 1e-6


@given(quaternions, st.floats(0.1, np.pi))
def test_random_goals_are_within_the_largest_angle(now: Array, most: float) -> None:
    goal = come_to(RandomGoal("so3", most), now)
    assert float(rotations.angle_between(goal, now)) <= most + 1e-6
    face = come_to(RandomGoal("face-up"), now)
    tops = [rotations.rotate(face, normal) @ UP for normal in BLOCK.faces.values()]
    assert max(tops) == pytest.approx(1.0)


def test_random_rotations_are_uniform_within_their_angle() -> None:
    rng = np.random.default_rng(2)
    identity = np.array([1.0, 0, 0, 0])
    drawn = np.array([random_rotation(rng, 1.5) for _ in range(4000)])
    angles = np.sort(rotations.angle_between(drawn, identity))
    expected = (angles - np.sin(angles)) / (1.5 - np.sin(1.5))
    # Kolmogorov-Smirnov at about 0.1 %.
    assert np.abs(expected - np.arange(4000) / 4000).max() < 1.95 / np.sqrt(4000)
    whole = np.array([random_rotation(rng, np.pi) for _ in range(4000)])
    assert np.abs(np.mean(whole**2, axis=0) - 0.25).max() < 0.02


def test_the_same_seed_draws_the_same_goals() -> None:
    def drawn(keeper: GoalKeeper) -> Array:
        keeper.clear()
        keeper.reseed(9)
        keeper.add([RandomGoal()], **TERMS)
        keeper.update(0.0, pose(np.array([1.0, 0, 0, 0])))
        assert keeper.active is not None
        return keeper.active.quaternion

    keeper = GoalKeeper(BLOCK, np.random.default_rng())
    np.testing.assert_array_equal(drawn(keeper), drawn(keeper))


@settings(max_examples=50)
@given(quaternions, st.sampled_from([0.2, 0.3]))
def test_a_goal_is_reached_on_a_fresh_pose_only(now: Array, age: float) -> None:
    keeper = GoalKeeper(BLOCK, np.random.default_rng(3))
    keeper.add([Orientation(now)], **TERMS)
    (started,) = keeper.update(0.0, pose(now, age))
    assert started.kind == "started" and started.goal.error < 1e-6
    outcomes = keeper.update(0.01, pose(now, age))
    assert [outcome.kind for outcome in outcomes] == (["reached"] if age <= 0.2 else [])
    assert keeper.reached == len(outcomes)
    assert keeper.empty == bool(outcomes)


@pytest.mark.parametrize(("doubt", "reached"), [(0.05, True), (0.11, False)])
def test_the_error_plus_one_standard_deviation_must_be_within_tolerance(
    doubt: float, reached: bool
) -> None:
    keeper = GoalKeeper(BLOCK, np.random.default_rng(3))
    keeper.add([Orientation(np.array([1.0, 0, 0, 0]))], tolerance=0.2, hold=0.0, timeout=0.0)
    near = rotations.exp(0.1 * UP)
    for tick in range(3):
        keeper.update(0.01 * tick, pose(near, doubt=doubt))
    assert keeper.reached == reached


def test_a_tolerance_of_half_a_turn_is_met_with_any_uncertainty() -> None:
    keeper = GoalKeeper(BLOCK, np.random.default_rng(3))
    keeper.add([Orientation(rotations.exp(3.0 * UP))], tolerance=3.15, hold=0.0, timeout=0.0)
    for tick in range(2):
        keeper.update(0.01 * tick, pose(np.array([1.0, 0, 0, 0]), doubt=1.0))
    assert keeper.reached == 1


def test_the_error_must_stay_small_for_the_whole_hold_time() -> None:
    keeper = GoalKeeper(BLOCK, np.random.default_rng(4))
    near, far = rotations.exp(0.1 * UP), rotations.exp(0.3 * UP)
    keeper.add([Orientation(np.array([1.0, 0, 0, 0]))], tolerance=0.2, hold=0.05, timeout=0.0)
    kinds = []
    for tick, seen in enumerate([near, near, far, near, near, near, near, near, near, near]):
        kinds += [(tick, outcome.kind) for outcome in keeper.update(0.01 * tick, pose(seen))]
    assert kinds == [(0, "started"), (8, "reached")]


def held_goal(hold: float = 0.1) -> GoalKeeper:
    keeper = GoalKeeper(BLOCK, np.random.default_rng(4))
    keeper.add([Orientation(np.array([1.0, 0, 0, 0]))], tolerance=0.2, hold=hold, timeout=0.0)
    return keeper


def test_a_glitch_of_the_estimator_reaches_no_goal() -> None:
    """A pose only predicted within tolerance for the hold time does not reach the goal."""
    keeper, there = held_goal(), rotations.exp(0.05 * UP)
    # One frame at the first tick; after it only predictions.
    for tick in range(1, 20):
        keeper.update(0.01 * tick, pose(there, age=0.01 * tick))
    assert keeper.reached == 0
    # A frame that confirms it.
    keeper.update(0.2, pose(there, age=0.05))
    assert keeper.reached == 1


def test_an_object_outside_the_hand_reaches_no_goal_and_restarts_the_hold_time_inside() -> None:
    keeper, there = held_goal(), rotations.exp(0.05 * UP)
    for tick in range(30):
        keeper.update(0.01 * tick, pose(there), in_hand=False)
    assert keeper.reached == 0
    reached = [
        tick
        for tick in range(30, 60)
        if any(o.kind == "reached" for o in keeper.update(0.01 * tick, pose(there)))
    ]
    assert reached == [40]
