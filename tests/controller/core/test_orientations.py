"""Goal orientations: nearest, shortest, random."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inhand.controller.core.orientations import nearest, random_rotation, shortest_turn
from inhand.perception import rotations
from inhand.perception.objects import load_object
from inhand.perception.rotations import Array

BLOCK, PRISM = load_object("block"), load_object("prism")
UP = np.array([0.0, 0.0, 1.0])

vectors = st.integers(0, 2**32 - 1).map(
    lambda seed: (lambda v: v / np.linalg.norm(v))(np.random.default_rng(seed).standard_normal(3))
)
quaternions = st.integers(0, 2**32 - 1).map(
    lambda seed: rotations.random_quaternion(np.random.default_rng(seed))
)


@settings(deadline=None)
@given(vectors, vectors)
def test_the_shortest_turn_takes_one_vector_to_the_other(one: Array, other: Array) -> None:
    for target in (other, one, -one):
        turn = shortest_turn(one, target)
        np.testing.assert_allclose(rotations.rotate(turn, one), target, atol=1e-7)
        angle = np.arccos(np.clip(one @ target, -1, 1))
        identity = np.array([1.0, 0, 0, 0])
        assert float(rotations.angle_between(turn, identity)) == pytest.approx(angle, abs=1e-6)


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


@settings(deadline=None)
@given(quaternions, quaternions)
def test_one_goal_is_its_own_nearest(goal: Array, now: Array) -> None:
    assert nearest(goal, now, None) is goal


@pytest.mark.parametrize("target", [BLOCK, PRISM], ids=lambda target: target.name)
@settings(deadline=None)
@given(goal=quaternions, now=quaternions)
def test_no_symmetric_goal_is_nearer(target: object, goal: Array, now: Array) -> None:
    best = nearest(goal, now, target.symmetry)
    all_goals = rotations.multiply(goal, target.symmetry)
    least = rotations.angle_between(all_goals, now).min()
    assert float(rotations.angle_between(best, now)) == pytest.approx(float(least), abs=1e-6)
    # From any of them, the same.
    again = nearest(all_goals[-1], now, target.symmetry)
    assert float(rotations.angle_between(again, now)) == pytest.approx(float(least), abs=1e-6)


@settings(deadline=None)
@given(quaternions, quaternions)
def test_with_any_heading_only_the_tilt_is_left(goal: Array, now: Array) -> None:
    up_in_object = rotations.rotate(rotations.conjugate(goal), UP)
    best = nearest(goal, now, None, any_heading=True)
    np.testing.assert_allclose(rotations.rotate(best, up_in_object), UP, atol=1e-7)
    tilt = float(np.arccos(np.clip(rotations.rotate(now, up_in_object) @ UP, -1, 1)))
    error = float(rotations.angle_between(best, now))
    if tilt < np.pi - 0.301:
        assert error == pytest.approx(tilt, abs=1e-5)
    elif tilt > np.pi - 0.299:
        # The way is not clear: the goal stays as it is.
        np.testing.assert_array_equal(best, goal)
