"""The controller and its goals: reached, missed, queued, refused."""

from pathlib import Path

import numpy as np
import pytest

from inhand.controller.config.settings import ControlSettings, GoalSettings
from inhand.controller.core.goals import FaceUp, Orientation, RandomGoal
from inhand.controller.safety.modes import Mode
from tests.controller.bench_hand import (
    HAND,
    Bench,
    about_vertical,
    learned,
)


def test_a_goal_is_reached_after_its_hold_time(bench: Bench) -> None:
    bench.start(Mode.READY)
    (number,) = bench.ask(1.0, tolerance=0.2, hold=0.3)
    bench.tick()
    assert bench.mode == Mode.RUNNING
    bench.turn(1.0)
    bench.until(Mode.READY, 1.0)
    started, reached = (e for e in bench.events if e.kind in ("goal_started", "goal_reached"))
    assert started.data["goal"] == reached.data["goal"] == number
    np.testing.assert_allclose(reached.data["quaternion"], about_vertical(1.0))
    # At 2 rad/s it is within 0.2 rad after 0.4 s, and must stay so for 0.3 s.
    assert reached.t - started.t == pytest.approx(0.7, abs=0.03)
    assert float(str(reached.data["error"])) < 0.1
    assert bench.controller.goals.reached == 1


def test_passing_by_is_not_reaching(bench: Bench) -> None:
    bench.start(Mode.READY)
    bench.ask(0.5, tolerance=0.1, hold=0.3)
    bench.turn(2.0)
    bench.run(0.5)
    assert bench.mode == Mode.RUNNING
    assert "goal_reached" not in bench.kinds()


def test_an_unseen_object_reaches_nothing(bench: Bench) -> None:
    bench.start(Mode.READY)
    bench.ask(0.0, tolerance=0.2, hold=0.2)
    bench.tick()
    bench.seen = False
    bench.run(0.29)
    assert bench.mode == Mode.RUNNING and "goal_reached" not in bench.kinds()
    bench.seen = True
    # The hold time starts anew.
    assert bench.until(Mode.READY, 0.3) >= 0.2


def test_a_goal_is_missed_at_its_timeout_and_the_next_one_begins(bench: Bench) -> None:
    bench.start(Mode.READY)
    aims = [Orientation(about_vertical(np.pi)), Orientation(about_vertical(2.0))]
    numbers = bench.controller.ask(aims, timeout=0.5)
    bench.run(0.7)
    happened = [(e.kind, e.data["goal"]) for e in bench.events if e.kind.startswith("goal")]
    first, second = numbers
    assert happened == [("goal_started", first), ("goal_missed", first), ("goal_started", second)]
    missed = next(e for e in bench.events if e.kind == "goal_missed")
    assert missed.data["seconds"] == pytest.approx(0.5, abs=0.011)
    bench.run(0.5)
    assert bench.mode == Mode.READY and bench.controller.goals.missed == 2


def test_the_queue_has_a_limit_and_a_refused_request_changes_nothing(bench: Bench) -> None:
    bench.start(Mode.RUNNING)
    limit = ControlSettings().goals.queue
    bench.controller.ask([RandomGoal()] * limit)
    assert bench.controller.goals.waiting == limit
    bench.refused("queue_full", "ask", [RandomGoal()])
    with pytest.raises(Exception, match="pass the limit"):
        bench.controller.ask([RandomGoal()] * (limit + 1), replace=True)
    assert bench.controller.goals.waiting == limit
    assert bench.controller.goals.active is not None
    bench.controller.ask([RandomGoal()], replace=True)
    assert (bench.controller.goals.waiting, bench.controller.goals.active) == (1, None)
    bench.tick()
    assert bench.mode == Mode.RUNNING


def test_a_face_that_the_object_lacks_is_refused(bench: Bench) -> None:
    bench.start(Mode.READY)
    assert "it has " in bench.refused("invalid", "ask", [FaceUp("lid")])


def test_endless_goals_do_not_end(bench: Bench) -> None:
    bench.start(Mode.READY)
    bench.controller.ask([RandomGoal("face-up")], timeout=0.1, endless=True)
    bench.run(2.0)
    assert bench.controller.goals.missed >= 15
    assert bench.mode == Mode.RUNNING
    assert bench.controller.cancel() == 2
    assert bench.mode == Mode.READY


def test_cancel_forgets_the_goals_and_goes_to_rest(bench: Bench) -> None:
    bench.start(Mode.RUNNING)
    bench.run(0.5)
    assert np.abs(bench.servos - HAND.rest).max() > 0.1
    assert bench.controller.cancel() == 1
    assert bench.mode == Mode.READY
    bench.run(6.0)
    np.testing.assert_allclose(bench.servos, HAND.rest, atol=0.011)


def test_a_goal_needs_a_fresh_pose_too(bench: Bench) -> None:
    bench.start(Mode.READY)
    bench.seen = False
    bench.run(0.4)
    assert "last seen" in bench.refused("not_ready", "ask", [RandomGoal()])


def test_a_goal_without_terms_has_the_configured_ones(tmp_path: Path) -> None:
    goals = GoalSettings(tolerance=0.11, hold=0.7, timeout=0.3)
    bench = Bench(learned(tmp_path), goals=goals)
    bench.start(Mode.READY)
    bench.ask(2.0)
    bench.tick()
    active = bench.controller.goals.active
    assert active is not None
    order = active.order
    assert (order.tolerance, order.hold, order.timeout) == (0.11, 0.7, 0.3)
    bench.run(0.4)
    assert bench.kinds()[-2:] == ["goal_missed", "mode"]
