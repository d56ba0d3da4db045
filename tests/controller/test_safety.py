"""Whatever is asked for, what is sent stays inside the limits."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from controller.action import ActionPath
from controller.safety import Limits, Motion, limit
from hardware.hand import load_hand

HAND = load_hand("dactyl24")
LIMITS = Limits.of(HAND)
TICK = 0.01
ANYTHING = arrays(np.float64, (12, HAND.n_actuators), elements=st.floats(width=64))


def check(before: Motion, after: Motion) -> None:
    slack = 1e-9
    assert np.all(np.isfinite(after.position))
    assert np.all(after.position >= LIMITS.lower - slack)
    assert np.all(after.position <= LIMITS.upper + slack)
    assert np.all(np.abs(after.position - before.position) <= LIMITS.velocity * TICK + slack)
    change = np.abs(after.velocity - before.velocity)
    assert np.all(change <= LIMITS.acceleration * TICK + slack)


@settings(deadline=None, max_examples=200)
@given(ANYTHING)
def test_any_sequence_of_targets_stays_inside(wanted: np.ndarray) -> None:
    motion = Motion(HAND.rest, np.zeros(HAND.n_actuators))
    motion = limit(LIMITS, motion, HAND.rest, TICK)
    for row in wanted:
        after = limit(LIMITS, motion, row, TICK)
        check(motion, after)
        motion = after


@settings(deadline=None, max_examples=100)
@given(ANYTHING)
def test_any_sequence_of_actions_stays_inside(actions: np.ndarray) -> None:
    path = ActionPath(HAND)
    state = path.tick(path.start(HAND.rest))
    for action in actions:
        state = path.act(state, action)
        for _ in range(path.ticks_per_action):
            after = path.tick(state)
            check(state.motion, after.motion)
            state = after


def test_a_constant_target_is_reached_without_overshoot() -> None:
    motion = Motion(LIMITS.lower, np.zeros(HAND.n_actuators))
    for _ in range(200):
        after = limit(LIMITS, motion, LIMITS.upper, TICK)
        assert np.all(after.position >= motion.position - 1e-12)
        motion = after
    np.testing.assert_allclose(motion.position, LIMITS.upper, atol=1e-6)


def test_action_zero_is_the_rest_pose_and_the_ends_are_the_limits() -> None:
    path = ActionPath(HAND)
    np.testing.assert_allclose(path.target(np.zeros(20)), HAND.rest)
    np.testing.assert_allclose(path.target(np.ones(20)), HAND.upper)
    np.testing.assert_allclose(path.target(-np.ones(20)), HAND.lower)


def test_batched_and_single_paths_agree() -> None:
    path = ActionPath(HAND)
    rng = np.random.default_rng(3)
    actions = rng.uniform(-1, 1, (4, HAND.n_actuators))
    together = path.tick(path.act(path.start(np.tile(HAND.rest, (4, 1))), actions))
    for i, action in enumerate(actions):
        alone = path.tick(path.act(path.start(HAND.rest), action))
        np.testing.assert_array_equal(together.motion.position[i], alone.motion.position)
