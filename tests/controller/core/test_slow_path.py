"""Slow moves, on which the fingers keep clear of one another."""

from functools import cache

import numpy as np
import pytest

from inhand.controller.config.settings import SafetySettings
from inhand.controller.core.setpoints import Mover
from inhand.controller.core.slow_path import PathPlanner
from inhand.controller.estimation.finger_gaps import FingerGaps
from inhand.controller.recording.checkpoint import capture, restore
from inhand.controller.safety.modes import Mode
from inhand.hardware.model.hand import load_hand
from inhand.hardware.records import Array
from tests.controller.bench_hand import HAND, Bench

GAPS = FingerGaps(HAND)
_FINGERS = [0.0, 0.5, 0.4, 0.0, 1.53, 1.01, 0.0, 0.5, 1.5, 0.63, 0.0, 0.9, 0.4]
ENTANGLED = np.array([-0.45, -0.47, *_FINGERS, 0.3, 0.9, 0.0, 0.0, -0.5])
"""A pose from which no free way home is found [rad], (n_actuators,)."""


def on_the_way(start: Array, end: Array) -> float:
    """The smallest gap on the straight way [m]."""
    shares = np.linspace(0.0, 1.0, 61)[:, None]
    return float(GAPS.smallest(start + shares * (end - start)).min())


@cache
def crossing(seed: int = 0) -> list[Array]:
    """Free poses of 300 from which the straight way home leads through another finger."""
    rng, free = np.random.default_rng(seed), np.zeros((0, HAND.n_actuators))
    while len(free) < 300:
        drawn = rng.uniform(HAND.lower, HAND.upper, (200, HAND.n_actuators))
        free = np.concatenate([free, drawn[GAPS.smallest(drawn) > 0.002]])
    return [pose for pose in free[:300] if on_the_way(pose, HAND.rest) < 0.0]


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
    assert GAPS.smallest(np.array(way)).min() > 0.0


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 5, 7, 42])
def test_of_300_poses_no_more_than_one_has_no_planned_way_home(seed: int) -> None:
    planner, without, gaps = PathPlanner(HAND), 0, []
    for pose in crossing(seed):
        at, free = np.clip(pose, HAND.lower + 0.01, HAND.upper - 0.01), True
        while free and not np.array_equal(at, HAND.rest):
            following, free = planner.next(at, HAND.rest)
            if free:
                gaps.append(on_the_way(at, following))
                at = following
        without += not free
    assert without <= 1
    assert len(crossing(seed)) > 20 and min(gaps) > 0.0


def test_a_free_way_is_taken_straight() -> None:
    destination = HAND.rest + 0.1
    assert PathPlanner(HAND).next(HAND.rest, destination) == (destination, True)
    other = load_hand("leap")
    assert PathPlanner(other).next(other.rest, other.lower)[1]


def test_a_way_that_is_not_free_is_reported_and_gone_with_little_torque() -> None:
    assert not PathPlanner(HAND).next(ENTANGLED, HAND.rest)[1]
    bench = Bench(safety=SafetySettings(contact_share=0.3))
    bench.servos = ENTANGLED
    bench.start(Mode.HOLDING)
    assert bench.controller.snapshot().effort.max() == 1.0
    bench.controller.home()
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
    for _ in range(400):
        mover.hold(0.01)
    assert mover.gentle and np.abs(mover.position - HAND.rest).max() < 0.0101
    restore(restored, capture(mover))
    for _ in range(3):
        mover.hold(0.01)
        restored.hold(0.01)
    assert restored.gentle and capture(restored) == capture(mover)
