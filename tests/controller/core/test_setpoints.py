"""No step of the targets is larger than the limits allow, in any sequence of commands."""

import numpy as np
import pytest

from inhand.controller.core.setpoints import Mover
from inhand.controller.policy.action import ActionPath
from inhand.controller.safety.derating import LEAST, Effort
from inhand.controller.safety.safety import Limits
from inhand.hardware.dynamixel.registers import Units
from inhand.hardware.model.hand import load_hand
from inhand.hardware.records import Array

HAND = load_hand("dactyl24")
N = HAND.n_actuators
LIMITS = Limits.of(HAND)
PATH = ActionPath(HAND)
EFFORT = Effort.of(HAND, Units(HAND).torque_per_ampere)
TICKS = 60

Step = tuple[float, Array, Array, Array]
"""Length of the tick [s], action, share of torque, and where the servos are read [rad]."""


def mover() -> Mover:
    made = Mover(HAND, 100, home_speed=0.8)
    made.pin(np.clip(HAND.rest, LIMITS.lower, LIMITS.upper))
    return made


def test_hold_keeps_the_targets_and_go_moves_slowly_to_the_destination() -> None:
    hand = mover()
    start = hand.position
    for _ in range(20):
        hand.hold(0.01)
    np.testing.assert_array_equal(hand.position, start)
    aim = np.clip(start + 0.3, LIMITS.lower, LIMITS.upper)
    hand.go(aim)
    for _ in range(80):
        before = hand.position
        hand.hold(0.01)
        assert (np.abs(hand.position - before) <= 0.8 * 0.01 + 1e-9).all()
    np.testing.assert_allclose(hand.position, aim, atol=1e-3)
    hand.brake(PATH, 0.01)
    np.testing.assert_allclose(hand.position, aim, atol=1e-3)


def test_targets_come_back_into_the_range_of_their_joints() -> None:
    hand = mover()
    hand.pin(np.where(np.arange(N) == 3, LIMITS.upper + 0.1, HAND.rest))
    assert hand.outside
    for _ in range(1000):
        hand.come_back(0.01)
    assert not hand.outside and hand.position[3] <= LIMITS.upper[3] + 1e-9


def test_actions_are_followed_no_faster_than_asked() -> None:
    hand = mover()
    hand.act(PATH, np.where(np.arange(N) % 2, 1.0, -1.0))
    fastest = 0.0
    for _ in range(PATH.ticks_per_action):
        before = hand.position
        hand.follow(PATH, 0.01, speed=0.5)
        fastest = max(fastest, float(np.abs(hand.position - before).max()))
    assert 0.002 < fastest <= 0.5 * 0.01 + 1e-9


def test_targets_sent_over_a_longer_time_were_slower() -> None:
    hand = Mover(HAND, 100, 1.0)
    hand.slow_down(0.5)
    hand.pin(HAND.rest)
    hand.go(HAND.rest + 0.2)
    for _ in range(5):
        hand.hold(0.01)
    before = hand.state.motion
    assert np.abs(before.velocity).max() > 0.1
    hand.slow_down(1.0)
    assert hand.state.motion is before
    hand.slow_down(0.5)
    np.testing.assert_array_equal(hand.state.motion.position, before.position)
    np.testing.assert_array_equal(hand.state.motion.velocity, 0.5 * before.velocity)


@pytest.mark.parametrize("lengths", [[0.01], [0.01, 0.03, 0.001]], ids=["even", "uneven"])
def test_a_hold_in_motion_brakes_without_overshoot_and_return(lengths: list[float]) -> None:
    for begin in range(3, 12):
        hand = mover()
        for tick in range(begin):
            hand.act(PATH, np.ones(N)) if tick % 5 == 0 else None
            hand.follow(PATH, 0.01)
        velocity = hand.state.motion.velocity
        way = [hand.position]
        hand.stop()
        for tick in range(40):
            hand.hold(lengths[tick % len(lengths)])
            way.append(hand.position)
        assert np.abs(velocity).max() > 1.0
        assert (np.diff(way, axis=0) * np.sign(velocity) >= -1e-12).all(), "it returns"
        braking = velocity**2 / (2 * LIMITS.acceleration)
        assert (np.abs(way[-1] - way[0]) <= braking + 1e-9).all()


def test_only_the_targets_of_a_derated_servo_are_reduced() -> None:
    share = np.ones(N)
    share[6] = 0.5
    untouched = mover()
    untouched.derate(untouched.state.motion, EFFORT, np.ones(N), HAND.upper, 0.01)
    np.testing.assert_array_equal(untouched.position, mover().position)
    # The servos are blocked while the policy commands other positions.
    hand, stands = mover(), mover().position
    for _ in range(100):
        before = hand.state.motion
        hand.act(PATH, np.ones(N))
        hand.follow(PATH, 0.01)
        hand.derate(before, EFFORT, share, stands, 0.01)
    away = hand.position - stands
    assert away[6] == pytest.approx(min(0.5 * EFFORT.reach[6], away[6] + 1e-9), abs=1e-6)
    free = np.delete(np.arange(N), 6)
    np.testing.assert_allclose(hand.position[free], LIMITS.upper[free], atol=1e-3)


def worst(sequence: list[Step]) -> float:
    """The largest step of a sequence, as a share of the limit; above 1 is a violation."""
    hand, found = mover(), 0.0
    for number, (dt, action, share, stands) in enumerate(sequence):
        before = hand.state.motion
        if number % PATH.ticks_per_action == 0:
            hand.act(PATH, action)
        hand.follow(PATH, dt)
        hand.derate(before, EFFORT, share, stands, dt)
        after = hand.state.motion
        if not np.isfinite(after.position).all():
            return np.inf
        step = np.abs(after.position - before.position) / (LIMITS.velocity * dt)
        change = np.abs(after.velocity - before.velocity) / (LIMITS.acceleration * dt)
        middle, half = (LIMITS.upper + LIMITS.lower) / 2, (LIMITS.upper - LIMITS.lower) / 2
        place = np.abs(after.position - middle) / half
        found = max(found, float(step.max()), float(change.max()), float(place.max()))
    return found


def draw(rng: np.random.Generator) -> Step:
    """One random tick; difficult cases are more frequent than in normal operation."""
    extremes = [-1.0, 1.0, -1e300, 1e300, np.nan, np.inf, -np.inf]
    action = np.where(rng.random(N) < 0.5, rng.choice(extremes, N), rng.uniform(-1, 1, N))
    share = np.where(rng.random(N) < 0.5, 1.0, rng.uniform(LEAST, 1.0, N))
    stands = HAND.rest + rng.uniform(-1.0, 1.0, N) * rng.integers(0, 2)
    return float(rng.choice([0.001, 0.01, 0.03, rng.uniform(0.001, 0.03)])), action, share, stands


def search(seed: int, rounds: int) -> float:
    """Searches from a random sequence for worse ones, by changing a few ticks at a time."""
    rng = np.random.default_rng(seed)
    best = [draw(rng) for _ in range(TICKS)]
    score = worst(best)
    for _ in range(rounds):
        changed = list(best)
        begin = int(rng.integers(TICKS))
        for tick in range(begin, min(TICKS, begin + int(rng.integers(1, 15)))):
            changed[tick] = draw(rng)
        if (now := worst(changed)) >= score:
            best, score = changed, now
    return score


@pytest.mark.parametrize("seed", [1, 2])
def test_no_sequence_from_a_search_exceeds_a_limit(seed: int) -> None:
    print(f"seed {seed}")
    assert search(seed, 60) <= 1 + 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10, 14))
def test_no_sequence_from_a_long_search_exceeds_a_limit(seed: int) -> None:
    print(f"seed {seed}")
    assert search(seed, 3000) <= 1 + 1e-6
