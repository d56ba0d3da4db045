"""The rule of success, with the real filter: what is confirmed, for each latency and tolerance."""

from pathlib import Path

import numpy as np
import pytest

from inhand.controller.safety.modes import Mode
from tests.controller.bench_hand import TICK, Bench, about_vertical, learned

FRAME_PERIOD = 1 / 15
LATENCIES = [0.0, 0.03, 0.06, 0.1, 0.15, 0.2]
TOLERANCES = [0.1, 0.2, 0.4]


def bench(directory: Path, latency: float, sigma: float = 0.01) -> Bench:
    """An armed hand with one camera of 15 Hz."""
    made = Bench(learned(directory))
    made.frame_period, made.latency, made.rotation_sigma = FRAME_PERIOD, latency, sigma
    made.run(0.3)
    made.start(Mode.READY)
    return made


@pytest.mark.parametrize("tolerance", TOLERANCES)
@pytest.mark.parametrize("latency", LATENCIES)
def test_an_object_at_rest_is_confirmed_with_any_latency_and_tolerance(
    tmp_path: Path, latency: float, tolerance: float
) -> None:
    hand = bench(tmp_path, latency)
    hand.run(1.0)
    hand.ask(0.7 * tolerance, tolerance=tolerance, hold=0.25)
    # The hold time in whole frame periods, one period until the first frame, and the latency.
    hand.run(5 * FRAME_PERIOD + latency + 3 * TICK)
    assert hand.kinds().count("goal_reached") == 1
    reached = hand.events[-2]
    assert reached.t - float(str(reached.data["captured"])) == pytest.approx(latency, abs=TICK)


@pytest.mark.parametrize("tolerance", TOLERANCES)
@pytest.mark.parametrize("latency", LATENCIES)
def test_an_object_that_is_never_within_tolerance_is_never_confirmed(
    tmp_path: Path, latency: float, tolerance: float
) -> None:
    hand = bench(tmp_path, latency)
    hand.ask(1.05 * tolerance, tolerance=tolerance, hold=0.0)
    hand.run(1.0)
    assert "goal_reached" not in hand.kinds()


@pytest.mark.parametrize("tolerance", TOLERANCES)
@pytest.mark.parametrize("latency", LATENCIES)
def test_an_object_that_turns_through_the_goal_faster_than_the_hold_time_is_not_confirmed(
    tmp_path: Path, latency: float, tolerance: float
) -> None:
    hand = bench(tmp_path, latency)
    hand.ask(1.5, tolerance=tolerance, hold=0.25)
    # It is within tolerance for 0.2 s.
    hand.turn(3.0, speed=tolerance / 0.1)
    hand.run(0.3)
    assert "goal_reached" not in hand.kinds()


@pytest.mark.parametrize("latency", LATENCIES)
def test_a_goal_is_reached_at_the_frame_though_the_object_has_left_it_since(
    tmp_path: Path, latency: float
) -> None:
    hand = bench(tmp_path, latency)
    hand.ask(1.5, tolerance=0.2, hold=0.0)
    began = hand.t
    hand.turn(3.0, speed=2.0)
    hand.run(latency)
    reached = next(event for event in hand.events if event.kind == "goal_reached")
    captured = float(str(reached.data["captured"]))
    true_error = abs(2.0 * (captured - began) - 1.5)
    assert true_error <= 0.2
    assert float(str(reached.data["error"])) == pytest.approx(true_error, abs=0.05)


def test_a_hold_time_starts_anew_after_the_object_turned_away_and_back_unseen(
    tmp_path: Path,
) -> None:
    hand = bench(tmp_path, 0.03)
    hand.ask(0.0, tolerance=0.2, hold=1.0)
    hand.run(0.6)
    hand.seen = False
    hand.turn(1.2, speed=5.0)
    hand.turn(-1.2, speed=5.0)
    hand.seen = True
    back = hand.t
    hand.run(0.9)
    assert "goal_reached" not in hand.kinds()
    hand.run(0.3)
    reached = next(event for event in hand.events if event.kind == "goal_reached")
    assert reached.t - back >= 1.0
    np.testing.assert_allclose(hand.quaternion, about_vertical(0.0), atol=1e-9)
