"""Slow moves, on which the fingers keep clear of one another."""

from functools import cache

import numpy as np
import pytest

from inhand.controller.config.settings import SafetySettings
from inhand.controller.core.setpoints import Mover
from inhand.controller.core.slow_path import Leg, PathPlanner
from inhand.controller.estimation.finger_gaps import FingerGaps
from inhand.controller.recording.checkpoint import capture, restore
from inhand.controller.safety.modes import Mode
from inhand.hardware.model.hand import Hand, load_hand
from inhand.hardware.records import Array
from tests.controller.bench_hand import HAND, Bench

_FINGERS = [-0.05, 1.03, 0.57, -0.15, 0.59, 0.94, 0.22, 1.55, 1.51, 0.71, -0.26, 1.25, 0.37]
ENTANGLED = np.array([-0.3, -0.37, *_FINGERS, -0.16, 1.12, 0.12, 0.31, -0.37])
"""A pose from which no free way home is found [rad], (n_actuators,)."""


@cache
def gaps(hand: Hand) -> FingerGaps:
    return FingerGaps(hand)


def on_the_way(start: Array, end: Array, hand: Hand = HAND) -> float:
    """The smallest gap on the straight way [m]."""
    shares = np.linspace(0.0, 1.0, 61)[:, None]
    return float(gaps(hand).smallest(start + shares * (end - start)).min())


@cache
def crossing(seed: int = 0, name: str = "dactyl24") -> list[Array]:
    """Free poses of 300 from which the straight way home leads through another finger."""
    hand = load_hand(name)
    rng, free = np.random.default_rng(seed), np.zeros((0, hand.n_actuators))
    while len(free) < 300:
        drawn = rng.uniform(hand.lower, hand.upper, (200, hand.n_actuators))
        free = np.concatenate([free, drawn[gaps(hand).smallest(drawn) > 0.002]])
    return [pose for pose in free[:300] if on_the_way(pose, hand.rest, hand) < 0.0]


def test_straight_ways_home_lead_through_other_fingers() -> None:
    assert len(crossing()) > 20
    assert min(on_the_way(pose, HAND.rest) for pose in crossing()) < -0.005


@pytest.mark.parametrize("which", range(0, 30, 3))
def test_on_its_way_home_no_finger_touches_another(which: int) -> None:
    hand, start = Mover(HAND, 100, home_speed=3.0), crossing()[which]
    hand.pin(np.clip(start, HAND.lower + 0.01, HAND.upper - 0.01))
    hand.go(HAND.rest)
    way = [hand.position]
    for _ in range(2000):
        hand.hold(0.01)
        way.append(hand.position)
        if hand.gentle or np.abs(hand.position - HAND.rest).max() < 0.0101:
            break
    assert not hand.gentle, "one of 300 has no free way that is found; it is not among these"
    np.testing.assert_allclose(hand.position, HAND.rest, atol=0.0102)
    assert gaps(HAND).smallest(np.array(way)).min() > 0.0


def last_legs(hand: Hand, poses: list[Array]) -> list[Leg]:
    """The last leg of the way from each pose to the rest pose; all that count as free are."""
    planner, last = PathPlanner(hand), []
    for pose in poses:
        at = np.clip(pose, hand.lower + 0.01, hand.upper - 0.01)
        leg = Leg(at, free=True, straightening=False)
        while leg.free and not np.array_equal(at, hand.rest):
            leg = planner.next(at, hand.rest, straightening=leg.straightening)
            if leg.free:
                assert on_the_way(at, leg.pose, hand) > 0.0
                at = leg.pose
        last.append(leg)
    return last


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 5, 7, 42])
@pytest.mark.parametrize("name", ["dactyl24", "leap"])
def test_of_300_poses_no_more_than_one_has_no_planned_way_home(name: str, seed: int) -> None:
    poses = crossing(seed, name)
    assert len(poses) > 20
    assert sum(not leg.free for leg in last_legs(load_hand(name), poses)) <= 1


def test_where_bent_fingers_leave_no_way_they_are_straightened() -> None:
    last = last_legs(load_hand("leap"), crossing(0, "leap")[:30])
    assert all(leg.free for leg in last)
    assert 0 < sum(leg.straightening for leg in last) < len(last)


def test_a_free_way_is_taken_straight() -> None:
    destination = HAND.rest + 0.1
    leg = PathPlanner(HAND).next(HAND.rest, destination)
    assert leg.pose is destination and leg.free and not leg.straightening
    other = load_hand("leap")
    assert PathPlanner(other).next(other.rest, other.lower).free


def test_a_way_that_is_not_free_is_reported_and_gone_with_little_torque() -> None:
    assert not last_legs(HAND, [ENTANGLED])[0].free
    bench = Bench(safety=SafetySettings(contact_share=0.3))
    bench.servos = ENTANGLED
    bench.start(Mode.HOLDING)
    assert bench.controller.snapshot().effort.max() == 1.0
    bench.controller.home()
    # Some of the fingers find a way; then there is none.
    for _ in range(1000):
        bench.run(0.02)
        if "path_not_free" in bench.kinds():
            break
        assert bench.controller.snapshot().effort.max() == 1.0
    bench.run(0.02)
    assert bench.kinds()[-2:] == ["path_not_free", "derated"]
    assert bench.controller.snapshot().effort.max() == 0.3
    bench.run(5.0)
    np.testing.assert_allclose(bench.servos, HAND.rest, atol=0.02)
    bench.controller.hold()
    bench.run(0.02)
    assert bench.controller.snapshot().effort.max() == 1.0


def test_a_restored_way_is_not_planned_anew_at_its_end() -> None:
    mover, restored = (Mover(HAND, 100, 1.0) for _ in range(2))
    for one in (mover, restored):
        one.pin(ENTANGLED)
    mover.go(HAND.rest)
    for _ in range(2000):
        mover.hold(0.01)
        if np.abs(mover.position - HAND.rest).max() < 0.0101:
            break
    assert mover.gentle
    restore(restored, capture(mover))
    for _ in range(3):
        mover.hold(0.01)
        restored.hold(0.01)
    assert restored.gentle and capture(restored) == capture(mover)
