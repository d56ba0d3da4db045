"""The limiter chain keeps all targets inside the limits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from inhand.controller.policy.action import ActionPath
from inhand.controller.safety.safety import Limits, Motion, limit, rest_point
from inhand.hardware.model.hand import load_hand

HAND = load_hand("dactyl24")
LIMITS = Limits.of(HAND)
TICK = 0.01
ANYTHING = arrays(np.float64, (12, HAND.n_actuators), elements=st.floats(width=64))
LENGTHS = st.lists(
    st.one_of(st.sampled_from([0.001, TICK, 0.03]), st.floats(0.001, 0.03)),
    min_size=12,
    max_size=12,
)
INSIDE = np.clip(HAND.rest, LIMITS.lower, LIMITS.upper)


def check(positions: list[np.ndarray], lengths: list[float]) -> None:
    """Checks a way by its positions alone; it begins at rest.

    Args:
        positions: at the start and after each tick [rad], (n_actuators,).
        lengths: of the ticks [s].
    """
    way, time = np.array(positions), np.array(lengths)[:, None]
    assert np.isfinite(way).all()
    assert (way >= LIMITS.lower - 1e-12).all() and (way <= LIMITS.upper + 1e-12).all()
    velocity = np.diff(way, axis=0) / time
    assert (np.abs(velocity) <= LIMITS.velocity * (1 + 1e-9)).all()
    acceleration = np.diff(velocity, axis=0, prepend=0.0) / time
    assert (np.abs(acceleration) <= LIMITS.acceleration * (1 + 1e-6)).all()


def moved(wanted: list[np.ndarray], lengths: list[float]) -> list[np.ndarray]:
    """The positions at the start and after each tick [rad], (n_actuators,)."""
    motion = Motion(INSIDE, np.zeros(HAND.n_actuators))
    positions = [motion.position]
    for row, dt in zip(wanted, lengths, strict=True):
        motion = limit(LIMITS, motion, row, dt)
        positions.append(motion.position)
    return positions


@settings(deadline=None, max_examples=200)
@given(ANYTHING, LENGTHS)
def test_any_sequence_of_targets_stays_inside(wanted: np.ndarray, lengths: list[float]) -> None:
    check(moved(list(wanted), lengths), lengths)


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_no_sequence_of_ticks_makes_a_target_overshoot(data: st.DataObject) -> None:
    lengths = data.draw(st.lists(st.floats(0.001, 0.03), min_size=30, max_size=120))
    up = data.draw(st.booleans())
    wanted = LIMITS.lower + data.draw(st.floats(0, 1)) * (LIMITS.upper - LIMITS.lower)
    if up:
        wanted = np.where(wanted > INSIDE, LIMITS.upper, LIMITS.lower)
    positions = moved([wanted] * len(lengths), lengths)
    check(positions, lengths)
    way = (np.array(positions) - INSIDE) * np.sign(wanted - INSIDE)
    assert (np.diff(way, axis=0) >= -1e-12).all(), "it turns back"
    assert (way <= np.abs(wanted - INSIDE) + 1e-12).all(), "it overshoots"


def test_one_long_tick_among_others_does_not_overshoot() -> None:
    for late in range(5, 40):
        lengths = [0.03 if tick == late else TICK for tick in range(80)]
        positions = moved([LIMITS.upper] * 80, lengths)
        check(positions, lengths)
        np.testing.assert_allclose(positions[-1], LIMITS.upper, atol=1e-6)


@settings(deadline=None, max_examples=100)
@given(ANYTHING, st.lists(st.floats(0.001, 0.03), min_size=60, max_size=60))
def test_any_sequence_of_actions_stays_inside(actions: np.ndarray, lengths: list[float]) -> None:
    path = ActionPath(HAND)
    state = path.start(INSIDE)
    positions = [state.motion.position]
    for number, dt in enumerate(lengths):
        if number % path.ticks_per_action == 0:
            state = path.act(state, actions[number // path.ticks_per_action])
        state = path.tick(state, dt)
        positions.append(state.motion.position)
    check(positions, lengths)


@settings(deadline=None, max_examples=100)
@given(LENGTHS, st.floats(0.0, 1.0))
def test_a_target_that_comes_nearer_is_passed_by_no_more_than_braking_needs(
    lengths: list[float], share: float
) -> None:
    """Braking from full speed, with the position that `rest_point` gives as target."""
    motion = Motion(INSIDE, np.zeros(HAND.n_actuators))
    aim = INSIDE + share * (LIMITS.upper - INSIDE)
    for dt in lengths[:6]:
        motion = limit(LIMITS, motion, aim, dt)
    rest, positions = rest_point(LIMITS, motion), [motion.position]
    for dt in lengths[6:] * 5:
        motion = limit(LIMITS, motion, rest, dt)
        positions.append(motion.position)
    assert (np.diff(positions, axis=0) >= -1e-12).all(), "it returns"
    assert (motion.position <= rest + 1e-12).all()


def test_interpolation_counts_time_and_not_ticks() -> None:
    path = ActionPath(HAND)
    action = np.full(HAND.n_actuators, 0.02)
    even = path.act(path.start(INSIDE), action)
    for _ in range(5):
        even = path.tick(even, TICK)
    uneven = path.act(path.start(INSIDE), action)
    for dt in (0.03, 0.005, 0.005, 0.01):
        uneven = path.tick(uneven, dt)
    assert even.tick == pytest.approx(5) and uneven.tick == pytest.approx(5)
    half = path.tick(path.act(path.start(INSIDE), action), 0.025)
    assert half.tick == pytest.approx(2.5)


def test_a_constant_target_is_reached_without_overshoot() -> None:
    motion = Motion(LIMITS.lower, np.zeros(HAND.n_actuators))
    for _ in range(200):
        after = limit(LIMITS, motion, LIMITS.upper, TICK)
        assert np.all(after.position >= motion.position - 1e-12)
        motion = after
    np.testing.assert_allclose(motion.position, LIMITS.upper, atol=1e-6)


def test_batched_and_single_paths_agree() -> None:
    path = ActionPath(HAND)
    rng = np.random.default_rng(3)
    actions = rng.uniform(-1, 1, (4, HAND.n_actuators))
    together = path.tick(path.act(path.start(np.tile(HAND.rest, (4, 1))), actions))
    for i, action in enumerate(actions):
        alone = path.tick(path.act(path.start(HAND.rest), action))
        np.testing.assert_array_equal(together.motion.position[i], alone.motion.position)


@settings(deadline=None, max_examples=100)
@given(
    arrays(np.float64, HAND.n_actuators, elements=st.floats(-1, 1)),
    ANYTHING,
    st.lists(st.floats(0.001, 0.03), min_size=12, max_size=12),
)
def test_a_hand_outside_its_range_returns_within_the_limits(
    away: np.ndarray, wanted: np.ndarray, lengths: list[float]
) -> None:
    motion = Motion(HAND.rest + away, np.zeros(HAND.n_actuators))
    for row, dt in zip(wanted, lengths, strict=True):
        after = limit(LIMITS, motion, row, dt)
        # Never further out than it was, and no faster than any other motion.
        assert np.all(after.position >= np.minimum(LIMITS.lower, motion.position))
        assert np.all(after.position <= np.maximum(LIMITS.upper, motion.position))
        assert np.all(np.abs(after.position - motion.position) <= LIMITS.velocity * dt + 1e-9)
        change = np.abs(after.velocity - motion.velocity)
        assert np.all(change <= LIMITS.acceleration * dt + 1e-9)
        motion = after
    for _ in range(200):
        motion = limit(LIMITS, motion, HAND.rest, TICK)
    target = np.clip(HAND.rest, LIMITS.lower, LIMITS.upper)
    np.testing.assert_allclose(motion.position, target, atol=1e-6)


def test_the_position_margin_is_kept() -> None:
    motion = Motion(HAND.rest, np.zeros(HAND.n_actuators))
    for wanted in (HAND.upper + 1, HAND.lower - 1):
        for _ in range(300):
            motion = limit(LIMITS, motion, wanted, TICK)
        inside = np.minimum(HAND.upper - motion.position, motion.position - HAND.lower)
        np.testing.assert_allclose(inside, 0.01, atol=1e-6)


def test_smoothing_and_interpolation_reach_the_target_in_small_steps() -> None:
    path = ActionPath(HAND, smoothing=0.5)
    state = path.act(path.start(HAND.rest), np.full(HAND.n_actuators, 0.2))
    half = HAND.rest + 0.5 * (path.target(np.full(HAND.n_actuators, 0.2)) - HAND.rest)
    np.testing.assert_allclose(state.goal, half)
    for _ in range(2 * path.ticks_per_action):
        state = path.tick(state)
    np.testing.assert_allclose(
        state.motion.position, np.clip(half, LIMITS.lower, LIMITS.upper), atol=1e-3
    )
    held = path.hold(state, state.motion.position)
    np.testing.assert_allclose(held.motion.position, state.motion.position, atol=1e-3)


def test_an_action_that_is_not_finite_keeps_the_last_target() -> None:
    path = ActionPath(HAND)
    before = path.act(path.start(HAND.rest), np.full(HAND.n_actuators, 0.3))
    after = path.act(before, np.full(HAND.n_actuators, np.nan))
    np.testing.assert_array_equal(after.goal, before.goal)


@pytest.mark.parametrize("values", [{"tick_rate": 110}, {"smoothing": 0.0}, {"smoothing": 1.1}])
def test_invalid_rates_and_smoothing_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be a multiple"):
        ActionPath(HAND, **values)


@pytest.mark.parametrize("dt", [0.005, TICK, 0.02])
def test_the_way_to_a_target_is_as_short_as_the_limits_allow_and_does_not_overshoot(
    dt: float,
) -> None:
    begin = LIMITS.lower + 0.1 * (LIMITS.upper - LIMITS.lower)
    target = LIMITS.lower + 0.8 * (LIMITS.upper - LIMITS.lower)
    distance, speed, acceleration = target - begin, LIMITS.velocity, LIMITS.acceleration
    full = speed**2 / acceleration
    # Accelerate, go at full speed if there is room for it, brake.
    shortest = np.where(
        distance > full,
        distance / speed + speed / acceleration,
        2 * np.sqrt(distance / acceleration),
    )
    motion = Motion(begin, np.zeros(HAND.n_actuators))
    arrived = np.full(HAND.n_actuators, np.inf)
    for tick in range(1, round(2.0 / dt)):
        motion = limit(LIMITS, motion, target, dt)
        assert np.all(motion.position <= target + 1e-9)
        there = np.isinf(arrived) & (target - motion.position < 1e-3)
        arrived[there] = tick * dt
    assert np.all(arrived >= shortest - 1.5 * dt)
    assert np.all(arrived <= shortest + 4 * dt)


@pytest.mark.parametrize("dt", [0.0005, 0.001])
def test_braking_begins_no_earlier_than_the_limits_demand(dt: float) -> None:
    positions = np.array(moved([LIMITS.upper] * round(2.0 / dt), [dt] * round(2.0 / dt)))
    velocity = np.diff(positions, axis=0) / dt
    for joint, speeds in enumerate(velocity.T):
        begin = int(np.argmax(speeds))
        while speeds[begin + 1] > speeds[begin] - 1e-9:
            begin += 1
        distance = LIMITS.upper[joint] - positions[begin + 1, joint]
        needed = speeds[begin] ** 2 / (2 * LIMITS.acceleration[joint])
        # Two ticks more at most.
        assert needed - 1e-9 <= distance <= needed + 2 * speeds[begin] * dt
