"""The controller when the object is lost, joint readings are wrong or missing, or it is stopped."""

from pathlib import Path

import numpy as np
import pytest

from inhand.controller.config.settings import SafetySettings
from inhand.controller.safety.modes import Happening, Mode
from tests.controller.bench_hand import (
    HAND,
    TICK,
    Bench,
    learned,
)

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
    bench.run(6.0)
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


def test_readings_that_jump_are_rejected(bench: Bench) -> None:
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


def test_an_emergency_stop_after_a_weak_fault_gives_no_more_torque() -> None:
    bench = Bench(safety=SafetySettings(estop="hold"))
    bench.run(0.3)
    bench.controller.enable()
    bench.run(0.1)
    bench.answered = False
    bench.run(3.0)
    share = bench.controller.settings.safety.fault_share
    assert bench.mode == Mode.FAULT and bench.controller.snapshot().effort.max() == share
    bench.answered = True
    bench.controller.estop()
    bench.run(5.0)
    assert bench.mode == Mode.ESTOP and bench.controller.torque
    assert bench.controller.snapshot().effort.max() == share
    # The next enabling begins with full torque.
    bench.controller.clear()
    bench.controller.enable()
    bench.run(0.1)
    assert bench.controller.snapshot().effort.max() == 1.0
