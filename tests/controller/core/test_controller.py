"""The controller, tick by tick, with a hand of simple servos, true poses and a real policy file."""

from pathlib import Path

import numpy as np
import pytest

from inhand.controller.config.settings import SafetySettings
from inhand.controller.core.goals import RandomGoal
from inhand.controller.errors import RefusedError
from inhand.controller.safety.modes import Happening, Mode, Request, next_mode
from tests.controller.bench_hand import (
    HAND,
    TICK,
    UPRIGHT,
    Bench,
    learned,
)

AWAY = np.clip(HAND.rest + 0.3, HAND.lower + 0.01, HAND.upper - 0.01)


# Torque.


def test_enable_pins_the_targets_to_where_the_hand_is(bench: Bench) -> None:
    # One joint stands past its limit, as an offset of its encoder can make it.
    bench.servos = HAND.rest + 0.1
    bench.servos[3] = HAND.lower[3] - 0.05
    bench.run(0.1)
    assert not bench.controller.torque
    bench.controller.enable()
    assert bench.controller.torque
    start = bench.servos.copy()
    bench.tick()
    assert bench.targets is not None
    # What one tick of the largest acceleration allows.
    snap = np.abs(bench.targets.position - start)
    assert snap.max() <= HAND.acceleration_limit.max() * TICK**2 + 1e-9
    bench.run(1.0)
    held = np.clip(start, HAND.lower + 0.01, HAND.upper - 0.01)
    np.testing.assert_allclose(bench.servos, held, atol=1e-3)


def test_home_moves_slowly_to_the_rest_pose_and_stays(bench: Bench) -> None:
    bench.servos = AWAY
    bench.start(Mode.HOLDING)
    bench.controller.home()
    fastest, before = 0.0, bench.servos
    for _ in range(100):
        bench.tick()
        fastest = max(fastest, float(np.abs(bench.servos - before).max()) / TICK)
        before = bench.servos
    assert 0.5 < fastest <= 0.81
    np.testing.assert_allclose(bench.servos, HAND.rest, atol=0.011)
    bench.controller.hold()
    bench.run(0.2)
    np.testing.assert_allclose(bench.servos, before, atol=1e-3)


def test_hold_stops_the_way_home(bench: Bench) -> None:
    bench.servos = AWAY
    bench.start(Mode.HOLDING)
    bench.controller.home()
    bench.run(0.1)
    bench.controller.hold()
    bench.run(0.1)
    stopped = bench.servos
    bench.run(0.5)
    np.testing.assert_allclose(bench.servos, stopped, atol=1e-3)
    assert np.abs(stopped - HAND.rest).max() > 0.1


def test_without_joints_nothing_is_sent_or_enabled(bench: Bench) -> None:
    bench.answered = False
    bench.run(0.1)
    assert bench.targets is None
    assert "cannot be read" in bench.refused("not_ready", "enable")


# Arming.


def test_arm_needs_a_policy() -> None:
    bench = Bench()
    bench.start(Mode.HOLDING)
    assert "load_policy" in bench.refused("no_policy", "arm")


def test_arm_needs_the_object_seen_and_in_the_hand(bench: Bench) -> None:
    bench.seen = False
    bench.start(Mode.HOLDING)
    assert "never" in bench.refused("not_ready", "arm")
    bench.seen = True
    bench.position = np.array([0.3, 0.3, 0.05])
    bench.run(0.5)
    assert "not in the hand" in bench.refused("not_ready", "arm")


def test_arm_needs_a_fresh_pose(bench: Bench) -> None:
    bench.start(Mode.HOLDING)
    bench.seen = False
    bench.run(0.4)
    assert "last seen 0.4 s ago" in bench.refused("not_ready", "arm")


def test_arm_needs_fresh_joints(bench: Bench) -> None:
    bench.start(Mode.HOLDING)
    bench.answered = False
    bench.run(0.03)
    assert bench.mode == Mode.HOLDING
    bench.controller.tick(bench.t + 0.006, None)
    assert bench.mode == Mode.FAULT
    assert "possible now: estop, clear" in bench.refused("refused", "arm")


def test_what_a_mode_does_not_allow_is_refused_with_what_it_does(bench: Bench) -> None:
    bench.run(0.3)
    assert "not in mode off; possible now: enable" in bench.refused("refused", "arm")
    bench.refused("refused", "ask", [RandomGoal()])


def test_an_armed_hand_goes_to_rest_and_ages_out_unless_armed_again(tmp_path: Path) -> None:
    bench = Bench(learned(tmp_path), SafetySettings(idle=2.0))
    bench.servos = AWAY
    bench.start(Mode.READY)
    bench.run(1.5)
    np.testing.assert_allclose(bench.servos, HAND.rest, atol=0.011)
    bench.controller.arm()
    bench.run(1.9)
    assert bench.mode == Mode.READY
    assert 0.05 < bench.until(Mode.HOLDING, 0.2) < 0.15
    assert bench.events[-1].data["cause"] == "idle"


# Time.


def test_a_tick_that_comes_late_moves_no_further_than_three_ticks(bench: Bench) -> None:
    bench.servos = AWAY
    bench.start(Mode.HOLDING)
    bench.controller.home()
    bench.run(0.1)
    assert bench.targets is not None
    before = bench.targets.position
    bench.t += 0.5
    bench.tick()
    moved = np.abs(bench.targets.position - before)
    assert 0 < moved.max() <= 0.8 * 3.5 * TICK


def test_the_snapshot_says_what_is_known(bench: Bench) -> None:
    bench.start(Mode.RUNNING)
    snapshot = bench.controller.snapshot()
    assert snapshot.mode == Mode.RUNNING and snapshot.torque and snapshot.in_hand
    assert snapshot.goal is not None and snapshot.goal.error == pytest.approx(np.pi, abs=0.05)
    assert snapshot.pose is not None and snapshot.joints is not None
    np.testing.assert_allclose(snapshot.pose.quaternion, UPRIGHT, atol=0.02)
    assert snapshot.policy == "tiny.onnx" and len(snapshot.policy_sha256) == 64


# Every request and happening in every mode, as the table of test_modes.py says.


def carry_out(bench: Bench, request: Request) -> None:
    if request == Request.GOAL:
        bench.ask(2.0)
    elif request == Request.JOINTS:
        bench.controller.joints({})
    elif request == Request.TRAJECTORY:
        bench.controller.follow([2.0], [HAND.rest])
    else:
        getattr(bench.controller, request.value)()


def enter(bench: Bench, mode: Mode) -> None:
    bench.start(Mode.HOLDING if mode in (Mode.FAULT, Mode.ESTOP) else mode)
    if mode == Mode.FAULT:
        bench.controller.report(Happening.SERVO_ERROR, "overload")
    elif mode == Mode.ESTOP:
        bench.controller.estop()


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("request_", list(Request))
def test_requests_follow_the_table(tmp_path: Path, mode: Mode, request_: Request) -> None:
    bench = Bench(learned(tmp_path))
    enter(bench, mode)
    before, after = bench.controller.snapshot(), next_mode(mode, request_)
    if after is None:
        with pytest.raises(RefusedError, match="not in mode") as caught:
            carry_out(bench, request_)
        assert caught.value.code == "refused"
        assert bench.controller.snapshot() == before
        return
    bench.controller.events.clear()
    carry_out(bench, request_)
    assert bench.mode == after
    assert bench.controller.torque == (after not in (Mode.OFF, Mode.ESTOP))
    changes = [
        (event.data["before"], event.data["after"], event.data["cause"])
        for event in bench.controller.events
    ]
    assert changes == ([] if after == mode else [(mode, after, request_)])


def test_stopping_forgets_the_way_home(bench: Bench) -> None:
    bench.servos = AWAY
    bench.start(Mode.READY)
    bench.run(0.1)
    bench.controller.disarm()
    bench.run(0.2)
    stopped = bench.servos
    bench.run(0.5)
    np.testing.assert_allclose(bench.servos, stopped, atol=1e-3)
    assert np.abs(stopped - HAND.rest).max() > 0.1


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("happening", list(Happening))
def test_happenings_follow_the_table(tmp_path: Path, mode: Mode, happening: Happening) -> None:
    bench = Bench(learned(tmp_path))
    enter(bench, mode)
    torque, after = bench.controller.torque, next_mode(mode, happening) or mode
    bench.controller.events.clear()
    bench.controller.report(happening, "a test")
    assert bench.mode == after and bench.controller.torque == torque
    assert [e.data["cause"] for e in bench.controller.events] == [happening] * (after != mode)
    bench.tick()
    assert bench.mode == after
