"""The driver of servos on a serial bus, over a pty with emulated servos behind it."""

import re
import threading
import time
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from inhand.hardware.dynamixel import registers
from inhand.hardware.dynamixel.driver import ServoHand
from inhand.hardware.dynamixel.protocol import Instruction, Parser
from inhand.hardware.errors import BusError
from inhand.hardware.records import Targets, frozen_array
from tests.hardware import conftest
from tests.sim_backend.wires import Wires, wires

HAND, BAUD, PATIENCE = conftest.HAND, conftest.BAUD, conftest.PATIENCE


def test_bring_up_sets_what_differs_and_leaves_torque_alone(servos: ServoHand, line: Wires) -> None:
    # A sync write has arrived when the next request is answered.
    servos.read()
    for servo in line.bus.servos.values():
        assert servo.get(registers.OPERATING_MODE) == registers.CURRENT_BASED_POSITION
        assert servo.get(registers.RETURN_DELAY) == 0
        assert servo.get(registers.TORQUE_ENABLE) == 0
    # 0.7 N·m of an XC330-M288, which gives 0.93 N·m at 1.8 A.
    assert line.bus.servos[3].get(registers.GOAL_CURRENT) == round(0.7 / 0.93 * 1800)


def test_a_second_bring_up_writes_no_eeprom(servos: ServoHand, line: Wires) -> None:
    servos.close()
    line.received = b""
    servos.connect()
    written = [p for p in Parser().feed(line.received) if p.instruction == Instruction.WRITE]
    assert written == []


def test_reading_gives_where_the_servos_stand(servos: ServoHand, line: Wires) -> None:
    rng = np.random.default_rng(1)
    line.position = rng.uniform(HAND.lower, HAND.upper)
    before = time.monotonic()
    state = servos.read()
    assert before <= state.t <= time.monotonic()
    # Half a count of 4096 a turn.
    np.testing.assert_allclose(state.position, line.position, atol=np.pi / 4096 + 1e-9)
    assert not state.position.flags.writeable


def test_torque_goes_on_without_motion(servos: ServoHand, line: Wires) -> None:
    line.position = HAND.rest + 0.1
    servos.set_torque(True)
    np.testing.assert_allclose(servos.read().position, HAND.rest + 0.1, atol=2e-3)
    assert line.bus.torque_on().all()
    servos.set_torque(False)
    assert not line.bus.torque_on().any()


def test_sent_targets_are_returned_as_rounded_to_counts(servos: ServoHand, line: Wires) -> None:
    wanted = HAND.rest + 0.0123
    sent = servos.write(Targets(5.0, frozen_array(wanted)))
    assert sent.t == 5.0
    np.testing.assert_allclose(sent.position, wanted, atol=np.pi / 4096 + 1e-9)
    servos.read()
    np.testing.assert_allclose(line.bus.targets(), sent.position, atol=1e-12)


def test_torque_that_does_not_go_on_is_an_error(servos: ServoHand, line: Wires) -> None:
    line.bus.servos[4].set(registers.HARDWARE_ERROR, 1)
    with pytest.raises(BusError, match="input voltage out of range"):
        servos.set_torque(True)


def test_a_lost_port_is_an_error(servos: ServoHand, line: Wires) -> None:
    line.unplug()
    with pytest.raises(BusError, match=f"serial port {line.port}"):
        servos.read()
    with pytest.raises(BusError, match=f"serial port {line.port}"):
        servos.write(Targets(0.0, frozen_array(HAND.rest)))
    servos.close()
    servos.close()


def test_a_missing_port_is_an_error() -> None:
    with pytest.raises(BusError, match="/dev/nothing: no such device; plug the hand in"):
        ServoHand(HAND, "/dev/nothing", BAUD).connect()


def test_a_port_in_use_is_an_error(servos: ServoHand, line: Wires) -> None:
    with pytest.raises(BusError, match="is it in use"):
        ServoHand(HAND, line.port, BAUD).connect()


def test_another_hand_on_the_line_is_refused(line: Wires) -> None:
    first = HAND.actuators[0]
    other = msgspec.structs.replace(
        first, servo=msgspec.structs.replace(first.servo, model="XM430-W210")
    )
    hand = replace(HAND, actuators=(other, *HAND.actuators[1:]), power=None)
    with pytest.raises(BusError, match=r"servo 1 \(WRJ2\) has model number 1020"):
        ServoHand(hand, line.port, BAUD).connect()
    assert not line.bus.torque_on().any()


def test_a_locked_servo_that_must_be_set_up_is_an_error(line: Wires) -> None:
    line.bus.servos[1].set(registers.TORQUE_ENABLE, 1)
    with pytest.raises(BusError, match="locked while torque is on"):
        ServoHand(HAND, line.port, BAUD).connect()


def test_before_connecting_there_is_nothing_to_read() -> None:
    with pytest.raises(BusError, match="not open"):
        ServoHand(HAND, "/dev/nothing", BAUD).read()


def test_a_target_that_is_not_finite_is_not_sent(servos: ServoHand, line: Wires) -> None:
    position = HAND.rest.copy()
    position[2] = np.nan
    servos.read()
    packets = line.bus.packets
    with pytest.raises(
        BusError, match=re.escape("target of servo 3 (FFJ4) is not a finite number")
    ):
        servos.write(Targets(0.0, frozen_array(position)))
    servos.read()
    assert line.bus.packets == packets + 1


def test_no_goal_beyond_the_limits_is_sent(servos: ServoHand, line: Wires) -> None:
    for far in (-9.0, 9.0):
        sent = servos.write(Targets(0.0, frozen_array(HAND.rest + far)))
        assert (sent.position >= HAND.lower - 2e-3).all()
        assert (sent.position <= HAND.upper + 2e-3).all()
    servos.read()
    assert line.bus.outside == []


def test_the_emulator_notices_goals_beyond_the_limits(servos: ServoHand, line: Wires) -> None:
    goal = registers.GOAL_POSITION
    servos.bus.write(1, goal.address, goal.pack(4000))
    assert line.bus.outside == [(1, 4000)]


def test_a_read_only_bus_refuses_writes(line: Wires) -> None:
    servos = ServoHand(HAND, line.port, BAUD, PATIENCE, readonly=True)
    servos.connect()
    np.testing.assert_allclose(servos.read().position, line.position, atol=2e-3)
    with pytest.raises(BusError, match="opened read-only"):
        servos.write(Targets(0.0, frozen_array(HAND.rest)))
    with pytest.raises(BusError, match="opened read-only"):
        servos.set_torque(False)
    servos.close()
    asked = {p.instruction for p in Parser().feed(line.received)}
    assert asked <= {Instruction.SYNC_READ, Instruction.FAST_SYNC_READ}


def test_gains_and_a_share_of_the_torque_are_set(line: Wires) -> None:
    servos = ServoHand(HAND, line.port, BAUD, PATIENCE, gains=(900, 10, 200), torque_share=0.5)
    servos.connect()
    servos.read()
    servo = line.bus.servos[3]
    gains = registers.POSITION_P, registers.POSITION_I, registers.POSITION_D
    assert [servo.get(register) for register in gains] == [900, 10, 200]
    assert servo.get(registers.GOAL_CURRENT) == round(0.5 * 0.7 / 0.93 * 1800)
    servos.close()


def test_servos_without_current_control_are_bounded_by_their_pwm(
    caplog: pytest.LogCaptureFixture,
) -> None:
    actuators = tuple(
        msgspec.structs.replace(
            actuator, servo=msgspec.structs.replace(actuator.servo, model="XL430-W250")
        )
        for actuator in HAND.actuators[2:4]
    )
    actuators = (*HAND.actuators[:2], *actuators, *HAND.actuators[4:])
    hand = replace(HAND, actuators=actuators, power=None)
    with wires(hand) as line:
        servos = ServoHand(hand, line.port, BAUD, PATIENCE)
        servos.connect()
        servos.read()
        assert line.bus.servos[3].get(registers.OPERATING_MODE) == registers.POSITION
        assert line.bus.servos[3].get(registers.GOAL_PWM) == round(885 * 0.7 / 1.5)
        assert line.bus.servos[5].get(registers.OPERATING_MODE) == registers.CURRENT_BASED_POSITION
        servos.close()
    assert "no current control in servo 3 (FFJ4), 4 (FFJ3)" in caplog.text


def test_servos_whose_thread_gets_no_processor_are_not_silent(line: Wires) -> None:
    servos = ServoHand(HAND, line.port, BAUD, PATIENCE, watchdog=0)
    servos.connect()
    late = threading.Timer(5 * PATIENCE, line.lock.release)
    line.lock.acquire()
    late.start()
    assert np.isfinite(servos.read().position).all()
    servos.close()
