"""The controller, tick by tick, with a hand of simple servos, true poses and a real policy file."""

from pathlib import Path

import numpy as np
import pytest

from controller.errors import PolicyError, RefusedError
from controller.goals import FaceUp, Orientation, RandomGoal
from controller.modes import Happening, Mode, Request, next_mode
from controller.settings import ControlSettings, GoalSettings, SafetySettings
from hardware.records import Targets
from tests.controller.bench_hand import (
    HAND,
    TICK,
    UPRIGHT,
    Bench,
    Dictator,
    about_vertical,
    learned,
)

AWAY = np.clip(HAND.rest + 0.3, HAND.lower + 0.01, HAND.upper - 0.01)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(learned(tmp_path))


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


# Goals.


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
    bench.until(Mode.READY, 0.1)


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
    bench.run(2.0)
    np.testing.assert_allclose(bench.servos, HAND.rest, atol=0.011)


# The object and its pose.


def test_a_dropped_object_stops_the_hand_within_0_3_s(bench: Bench) -> None:
    bench.start(Mode.RUNNING)
    bench.run(0.3)
    bench.fall()
    bench.until(Mode.HOLDING, 0.5)
    # The block leaves the hand below the drop height, 0.124 s after it begins to fall.
    left = next(e for e in bench.events if e.kind == "object_dropped").t
    fell = bench.t - left
    assert fell < 0.3
    assert bench.events[-1].data["cause"] == "object_dropped"
    assert bench.controller.snapshot().dropped == 1
    assert bench.controller.goals.empty
    # Slowly to the rest pose, where the object can be put back; and on, once somebody says so.
    bench.run(3.0)
    np.testing.assert_allclose(bench.servos, HAND.rest, atol=0.011)
    bench.position = np.array(HAND.workspace.object_start)
    bench.run(1.0)
    assert bench.mode == Mode.HOLDING and bench.kinds()[-1] == "object_in_hand"
    bench.controller.arm()
    bench.ask(2.0)
    assert bench.mode == Mode.RUNNING


def test_a_hand_that_dropped_may_be_told_to_stay(tmp_path: Path) -> None:
    bench = Bench(learned(tmp_path), SafetySettings(dropped="hold"))
    bench.start(Mode.RUNNING)
    bench.run(0.3)
    bench.fall()
    bench.until(Mode.HOLDING, 0.5)
    bench.run(0.2)
    stopped = bench.servos
    bench.run(0.3)
    np.testing.assert_allclose(bench.servos, stopped, atol=1e-3)
    assert np.abs(stopped - HAND.rest).max() > 0.05


def test_an_old_pose_pauses_the_hand_and_then_stops_it(bench: Bench) -> None:
    bench.start(Mode.RUNNING)
    bench.run(0.3)
    bench.seen, last = False, bench.t
    bench.run(0.29)
    assert not bench.controller.snapshot().paused
    bench.run(0.2)
    assert bench.controller.snapshot().paused
    assert bench.targets is not None
    stopped = bench.targets.position
    bench.run(0.5)
    np.testing.assert_allclose(bench.targets.position, stopped, atol=1e-9)
    bench.until(Mode.HOLDING, 2.0)
    assert bench.t - last == pytest.approx(2.0, abs=0.015)
    assert bench.events[-1].data["cause"] == "pose_lost"
    assert next(e for e in bench.events if e.kind == "pose_old").t - last == pytest.approx(
        0.3, abs=0.015
    )


def test_a_paused_hand_goes_on_when_the_object_is_seen_again(bench: Bench) -> None:
    bench.start(Mode.RUNNING)
    bench.seen = False
    bench.run(1.0)
    bench.seen = True
    bench.run(0.1)
    assert bench.mode == Mode.RUNNING
    assert bench.kinds()[-2:] == ["pose_old", "pose_fresh"]
    assert not bench.controller.snapshot().paused


# Faults and the emergency stop.


def test_stale_joints_are_a_fault_after_three_ticks(bench: Bench) -> None:
    bench.start(Mode.RUNNING)
    bench.answered = False
    bench.run(3 * TICK)
    assert bench.mode == Mode.RUNNING
    bench.tick()
    assert bench.mode == Mode.FAULT
    assert bench.events[-1].data["cause"] == "joints_stale"


def test_a_fault_holds_relaxes_if_told_and_is_cleared_to_off(tmp_path: Path) -> None:
    bench = Bench(learned(tmp_path), SafetySettings(fault_share=0.0))
    bench.start(Mode.RUNNING)
    bench.run(0.2)
    bench.controller.report(Happening.SERVO_ERROR, "overload")
    began = bench.t
    while bench.controller.torque:
        bench.tick()
        assert bench.t - began < 3.0
    assert bench.t - began == pytest.approx(2.0, abs=0.015)
    bench.refused("refused", "enable")
    bench.controller.clear()
    assert bench.mode == Mode.OFF
    bench.start(Mode.RUNNING)


def test_a_fault_holds_and_then_holds_with_less_torque(bench: Bench) -> None:
    bench.start(Mode.RUNNING)
    bench.run(0.2)
    bench.controller.report(Happening.SERVO_ERROR, "overload")
    bench.run(1.9)
    np.testing.assert_array_equal(bench.controller.snapshot().effort, 1.0)
    bench.run(0.3)
    np.testing.assert_array_equal(bench.controller.snapshot().effort, 0.3)
    assert bench.controller.torque and bench.mode == Mode.FAULT
    # A hand that is pushed aside is followed, not fought.
    bench.servos = bench.servos + 0.5
    bench.run(1.0)
    assert bench.targets is not None
    gain = np.array([actuator.gain for actuator in HAND.actuators])
    pull = gain * (bench.targets.position - bench.servos)
    assert (np.abs(pull) <= 0.3 * HAND.torque_limit + 1e-9).all()
    bench.controller.clear()
    assert bench.mode == Mode.OFF and not bench.controller.torque


def test_a_fault_is_not_cleared_while_the_joints_are_silent(bench: Bench) -> None:
    bench.start(Mode.HOLDING)
    bench.answered = False
    bench.run(0.1)
    assert "cannot be read" in bench.refused("not_ready", "clear")
    bench.answered = True
    bench.tick()
    bench.controller.clear()
    assert bench.mode == Mode.OFF and not bench.controller.torque


def test_a_joint_that_does_not_move_though_its_target_does_is_a_fault(bench: Bench) -> None:
    bench.servos = np.clip(HAND.rest + 0.9, HAND.lower + 0.01, HAND.upper - 0.01)
    bench.start(Mode.HOLDING)
    bench.controller.home()
    stuck = int(np.argmax(bench.servos - HAND.rest))
    bench.jammed = {stuck: float(bench.servos[stuck])}
    bench.until(Mode.FAULT, 2.0)
    assert bench.events[-1].data["cause"] == "servo_error"
    assert HAND.actuator_names[stuck] in bench.controller.snapshot().reason


def test_joints_that_leap_are_not_believed(bench: Bench) -> None:
    bench.start(Mode.RUNNING)
    bench.run(0.3)
    honest = bench.servos
    bench.servos = honest + np.eye(HAND.n_actuators)[5]
    bench.tick()
    joints = bench.controller.snapshot().joints
    assert joints is not None
    np.testing.assert_array_equal(joints.position, honest)
    assert bench.mode == Mode.RUNNING
    # One wrong reading is forgiven, as long as the next is right.
    bench.servos = honest
    bench.run(0.5)
    assert bench.mode == Mode.RUNNING


def test_a_servo_that_falls_silent_makes_its_joint_stale_and_no_other(bench: Bench) -> None:
    bench.start(Mode.RUNNING)
    bench.run(0.1)
    before = bench.servos[6]
    bench.silent = {6}
    bench.run(0.03)
    # Three ticks are forgiven; the joint's last value is known to be old.
    snapshot = bench.controller.snapshot()
    assert bench.mode == Mode.RUNNING and snapshot.joints is not None
    assert snapshot.joints.position[6] == before
    ages = bench.t - snapshot.joint_times
    assert ages[6] == pytest.approx(0.03) and np.delete(ages, 6).max() == 0.0
    bench.run(0.01)
    assert bench.mode == Mode.FAULT
    fault = bench.events[-1]
    assert fault.data["cause"] == "joints_stale"
    assert f"{HAND.actuator_names[6]} was last read 0.040 s ago" in fault.data["reason"]
    message = bench.refused("not_ready", "clear")
    assert HAND.actuator_names[6] in message and "its servo's cable" in message
    bench.silent = set()
    bench.tick()
    bench.controller.clear()
    assert bench.mode == Mode.OFF


def test_a_servo_that_works_hard_is_spared_and_says_so(bench: Bench) -> None:
    bench.start(Mode.HOLDING)
    bench.temperature = np.full(HAND.n_actuators, 40.0)
    bench.run(0.1)
    assert "derated" not in bench.kinds()
    bench.temperature[3] = 66.0
    bench.run(0.1)
    derated = bench.events[-1]
    assert derated.kind == "derated" and derated.data["servos"] == [HAND.actuator_names[3]]
    effort = bench.controller.snapshot().effort
    assert 0.4 < effort[3] < 1.0 and effort[4] == 1.0
    bench.temperature[3] = 50.0
    bench.run(0.1)
    assert bench.events[-1].data["servos"] == []


@pytest.mark.parametrize("estop", ["relax", "hold"])
def test_an_open_emergency_stop_line_stops_and_keeps_stopped(tmp_path: Path, estop: str) -> None:
    bench = Bench(learned(tmp_path), SafetySettings(estop=estop))
    bench.start(Mode.RUNNING)
    bench.controller.watch_line("the line is open")
    assert bench.mode == Mode.ESTOP and bench.controller.torque == (estop == "hold")
    assert bench.controller.snapshot().reason == "the line is open"
    bench.tick()
    assert "close it first" in bench.refused("not_ready", "clear")
    bench.controller.watch_line("")
    assert bench.mode == Mode.ESTOP
    bench.controller.clear()
    assert bench.mode == Mode.OFF


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


@pytest.mark.parametrize("mode", list(Mode))
def test_estop_takes_torque_at_once_from_every_mode(bench: Bench, mode: Mode) -> None:
    if mode == Mode.FAULT:
        bench.start(Mode.HOLDING)
        bench.controller.report(Happening.BUS_LOST, "unplugged")
    else:
        bench.start(Mode.OFF if mode == Mode.ESTOP else mode)
    bench.controller.estop()
    assert bench.mode == Mode.ESTOP and not bench.controller.torque
    bench.tick()
    assert not bench.controller.torque
    bench.controller.report(Happening.BUS_LOST, "unplugged")
    assert bench.mode == Mode.ESTOP
    bench.controller.estop()
    bench.controller.clear()
    assert bench.mode == Mode.OFF and not bench.controller.torque


def test_estop_may_be_told_to_hold(tmp_path: Path) -> None:
    bench = Bench(learned(tmp_path), SafetySettings(estop="hold"))
    bench.start(Mode.RUNNING)
    bench.run(0.3)
    bench.controller.estop()
    bench.run(0.2)
    held = bench.servos
    bench.run(1.0)
    assert bench.controller.torque
    np.testing.assert_allclose(bench.servos, held, atol=1e-3)
    bench.controller.clear()
    assert not bench.controller.torque


# The policy.


def test_memory_is_reset_on_arm_object_back_and_fault_but_not_on_a_new_goal() -> None:
    policy = Dictator([np.zeros(HAND.n_actuators)])
    bench = Bench(policy)
    bench.run(0.3)
    assert bench.kinds() == ["object_in_hand"] and policy.resets == 1
    bench.controller.enable()
    bench.controller.arm()
    assert policy.resets == 2
    bench.controller.arm()
    bench.ask(np.pi, timeout=0.2)
    bench.run(0.1)
    bench.ask(2.0)
    bench.controller.ask([RandomGoal()], replace=True, timeout=0.2)
    bench.run(1.0)
    bench.ask(np.pi)
    bench.run(0.1)
    assert bench.mode == Mode.RUNNING and policy.resets == 2
    bench.fall()
    bench.run(0.3)
    bench.position = np.array(HAND.workspace.object_start)
    bench.run(1.0)
    assert bench.kinds()[-1] == "object_in_hand" and policy.resets == 3
    bench.controller.report(Happening.BUS_LOST, "unplugged")
    assert policy.resets == 4
    bench.controller.set_policy(policy)
    assert policy.resets == 5


def test_the_policy_is_asked_at_its_own_rate() -> None:
    policy = Dictator([np.zeros(HAND.n_actuators)])
    bench = Bench(policy)
    bench.start(Mode.RUNNING)
    bench.run(0.99)
    assert policy.steps == 20


def test_numbers_that_are_not_finite_stop_the_hand_and_reach_no_servo(bench: Bench) -> None:
    bench.start(Mode.RUNNING)
    bench.run(0.2)
    bench.servos = np.full(HAND.n_actuators, np.nan)
    bench.until(Mode.FAULT, 0.05)
    assert bench.events[-1].data["cause"] == "joints_stale"
    assert "reads as no number" in bench.controller.snapshot().reason
    assert bench.targets is not None and np.isfinite(bench.targets.position).all()


def test_actions_that_are_not_finite_move_nothing() -> None:
    wild = np.array([np.nan, np.inf, -np.inf, 1e300] * 5)
    bench = Bench(Dictator([wild]))
    bench.start(Mode.RUNNING)
    for _ in range(100):
        bench.tick()
        assert bench.targets is not None
        assert np.isfinite(bench.targets.position).all()
        assert (bench.targets.position >= HAND.lower - 1e-9).all()
        assert (bench.targets.position <= HAND.upper + 1e-9).all()
    np.testing.assert_allclose(bench.targets.position[::4], HAND.rest[::4], atol=0.011)


def test_a_policy_is_exchanged_only_while_it_does_not_run(bench: Bench, tmp_path: Path) -> None:
    other = learned(tmp_path, "other.onnx")
    bench.start(Mode.RUNNING)
    bench.refused("refused", "set_policy", other)
    bench.controller.disarm()
    bench.controller.set_policy(other)
    assert bench.controller.snapshot().policy == "other.onnx"
    bench.tick()
    assert bench.kinds()[-1] == "policy_loaded"


def test_a_policy_for_another_tick_rate_is_refused() -> None:
    slow = Dictator([np.zeros(HAND.n_actuators)], tick_rate=200)
    with pytest.raises(PolicyError, match="made for 200 ticks/s, this daemon runs 100"):
        Bench(slow)
    bench = Bench()
    bench.run(0.1)
    assert "tick_rate = 200" in bench.refused("policy", "set_policy", slow)


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


def test_what_was_sent_is_what_the_next_observation_sees(bench: Bench) -> None:
    bench.start(Mode.HOLDING)
    rounded = Targets(bench.t, np.round(bench.servos, 2))
    bench.controller.note_sent(rounded)
    np.testing.assert_array_equal(bench.controller.snapshot().targets, rounded.position)


def test_the_snapshot_says_what_is_known(bench: Bench) -> None:
    bench.start(Mode.RUNNING)
    snapshot = bench.controller.snapshot()
    assert snapshot.mode == Mode.RUNNING and snapshot.torque and snapshot.in_hand
    assert snapshot.goal is not None and snapshot.goal.error == pytest.approx(np.pi, abs=0.05)
    assert snapshot.pose is not None and snapshot.joints is not None
    np.testing.assert_allclose(snapshot.pose.quaternion, UPRIGHT, atol=0.02)
    assert snapshot.policy == "tiny.onnx" and len(snapshot.policy_sha256) == 64


# Every request in every mode, as the table of test_modes.py says.


def carry_out(bench: Bench, request: Request) -> None:
    if request == Request.GOAL:
        bench.ask(2.0)
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


def test_a_pause_and_its_end_ask_the_policy_at_once() -> None:
    policy = Dictator([np.zeros(HAND.n_actuators)])
    bench = Bench(policy)
    bench.start(Mode.RUNNING)
    bench.run(0.2)
    bench.seen = False
    bench.run(1.0)
    steps = policy.steps
    bench.run(0.2)
    assert policy.steps == steps
    bench.seen = True
    bench.tick()
    assert policy.steps == steps + 1
