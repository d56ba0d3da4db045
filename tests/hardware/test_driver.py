"""The driver of servos on a serial bus, over a pty with emulated servos behind it."""

import re
import struct
import time
from collections.abc import Iterator
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from hardware import registers, requests
from hardware.condition import POLL_EVERY
from hardware.driver import ServoHand
from hardware.errors import BusError
from hardware.fast_read import FastChoice
from hardware.hand import load_hand
from hardware.protocol import Instruction, Parser
from hardware.records import Targets, frozen_array
from hardware.roll import EAGER, PAUSE
from tests.sim_backend.wires import Wires, wires

HAND = load_hand("dactyl24")
BAUD = 4_000_000
PATIENCE = 0.1
"""Tests share the machine with others."""


@pytest.fixture
def line() -> Iterator[Wires]:
    with wires(HAND) as line:
        yield line


@pytest.fixture
def servos(line: Wires) -> Iterator[ServoHand]:
    servos = ServoHand(HAND, line.port, BAUD, PATIENCE, watchdog=2.0)
    servos.connect()
    yield servos
    servos.close()


def test_bring_up_sets_what_differs_and_leaves_torque_alone(servos: ServoHand, line: Wires) -> None:
    # What a synchronous write says has arrived once the next request is answered.
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


def test_torque_goes_on_without_a_snap(servos: ServoHand, line: Wires) -> None:
    line.position = HAND.rest + 0.1
    servos.set_torque(True)
    np.testing.assert_allclose(servos.read().position, HAND.rest + 0.1, atol=2e-3)
    assert line.bus.torque_on().all()
    servos.set_torque(False)
    assert not line.bus.torque_on().any()


def test_what_was_sent_is_returned_as_the_servos_round_it(servos: ServoHand, line: Wires) -> None:
    wanted = HAND.rest + 0.0123
    sent = servos.write(Targets(5.0, frozen_array(wanted)))
    assert sent.t == 5.0
    np.testing.assert_allclose(sent.position, wanted, atol=np.pi / 4096 + 1e-9)
    servos.read()
    np.testing.assert_allclose(line.bus.targets(), sent.position, atol=1e-12)


def test_noise_on_the_line_is_passed_over(servos: ServoHand, line: Wires) -> None:
    line.noise = b"\xff\xff\xfd\x00\x03noise\xff\xff\xfd"
    np.testing.assert_allclose(servos.read().position, line.position, atol=2e-3)


def test_a_silent_servo_is_named_and_nothing_stale_comes_back(
    servos: ServoHand, line: Wires
) -> None:
    servos.read()
    silent = line.bus.servos.pop(7)
    others = np.arange(20) != 6
    line.position = HAND.rest + 0.05
    for _ in range(30):
        state = servos.read()
        for values in (state.position, state.velocity, state.current):
            assert np.isnan(values[6])
            assert np.isfinite(values[others]).all()
        np.testing.assert_allclose(state.position[others], line.position[others], atol=2e-3)
        assert servos.problem == f"no answer from servo 7 (MFJ3) on {line.port}"
    line.bus.servos[7] = silent
    for _ in range(PAUSE + 1):
        if np.isfinite(servos.read().position).all():
            break
    assert servos.problem == ""
    assert servos.read().position[6] == pytest.approx(line.position[6], abs=2e-3)


def test_a_silent_servo_is_not_waited_for(servos: ServoHand, line: Wires) -> None:
    servos.read()
    del line.bus.servos[7]
    for _ in range(EAGER + 1):
        servos.read()
    asked = servos.bus.missing[7]
    for _ in range(3 * PAUSE):
        servos.read()
    assert servos.bus.missing[7] == asked + 3


def test_torque_goes_off_around_a_silent_servo_and_not_on(servos: ServoHand, line: Wires) -> None:
    servos.set_torque(True)
    silent = line.bus.servos.pop(7)
    servos.read()
    with pytest.raises(BusError, match=r"no answer from servo 7 \(MFJ3\)"):
        servos.set_torque(False)
    assert [s.get(registers.TORQUE_ENABLE) for s in line.bus.servos.values()] == [0] * 19
    with pytest.raises(BusError, match=r"no answer from servo 7 \(MFJ3\)"):
        servos.set_torque(True)
    assert [s.get(registers.TORQUE_ENABLE) for s in line.bus.servos.values()] == [0] * 19
    assert silent.get(registers.TORQUE_ENABLE) == 1


def test_no_servo_at_all_is_an_error(servos: ServoHand, line: Wires) -> None:
    every = dict(line.bus.servos)
    line.bus.servos.clear()
    for _ in range(3):
        with pytest.raises(BusError, match="no answer from servo 1"):
            servos.read()
    line.bus.servos.update(every)
    assert np.isfinite(servos.read().position).all()


def test_a_voltage_that_is_out_of_range_is_told_with_a_remedy(
    servos: ServoHand, line: Wires
) -> None:
    assert servos.problem == ""
    for volts, remedy in ((31, "3.1 V.*3.5 to 7.0 V.*too weak"), (74, "7.4 V.*too much")):
        line.bus.servos[4].set(registers.INPUT_VOLTAGE, volts)
        until = time.monotonic() + 60
        while not re.search(remedy, servos.problem):
            servos.read()
            assert time.monotonic() < until
        assert "servo 4 (FFJ3)" in servos.problem


def test_a_hardware_error_is_told_in_words(servos: ServoHand, line: Wires) -> None:
    line.bus.servos[4].set(registers.HARDWARE_ERROR, 1 << 2)
    with pytest.raises(BusError, match=r"servo 4 \(FFJ3\): overheated; remove the cause"):
        servos.read()


def test_torque_that_does_not_go_on_is_an_error(servos: ServoHand, line: Wires) -> None:
    line.bus.servos[4].set(registers.HARDWARE_ERROR, 1)
    with pytest.raises(BusError, match="input voltage out of range"):
        servos.set_torque(True)


def test_a_port_that_is_gone(servos: ServoHand, line: Wires) -> None:
    line.unplug()
    with pytest.raises(BusError, match=f"serial port {line.port}"):
        servos.read()
    with pytest.raises(BusError, match=f"serial port {line.port}"):
        servos.write(Targets(0.0, frozen_array(HAND.rest)))
    servos.close()
    servos.close()


def test_a_port_that_is_not_there() -> None:
    with pytest.raises(BusError, match="/dev/nothing: no such device; plug the hand in"):
        ServoHand(HAND, "/dev/nothing", BAUD).connect()


def test_a_port_that_somebody_else_has(servos: ServoHand, line: Wires) -> None:
    with pytest.raises(BusError, match="is it in use"):
        ServoHand(HAND, line.port, BAUD).connect()


def test_another_hand_on_the_line_is_refused(line: Wires) -> None:
    first = HAND.actuators[0]
    other = msgspec.structs.replace(
        first, servo=msgspec.structs.replace(first.servo, model="XC330-M288")
    )
    hand = replace(HAND, actuators=(other, *HAND.actuators[1:]))
    with pytest.raises(BusError, match=r"servo 1 \(WRJ2\) is of model number 1020"):
        ServoHand(hand, line.port, BAUD).connect()
    assert not line.bus.torque_on().any()


def test_a_locked_servo_that_must_be_set_up_is_an_error(line: Wires) -> None:
    line.bus.servos[1].set(registers.TORQUE_ENABLE, 1)
    with pytest.raises(BusError, match="locked while torque is on"):
        ServoHand(HAND, line.port, BAUD).connect()


def test_before_connecting_there_is_nothing_to_read() -> None:
    with pytest.raises(BusError, match="not open"):
        ServoHand(HAND, "/dev/nothing", BAUD).read()


def test_a_target_that_is_no_number_is_not_sent(servos: ServoHand, line: Wires) -> None:
    position = HAND.rest.copy()
    position[2] = np.nan
    servos.read()
    packets = line.bus.packets
    with pytest.raises(BusError, match=re.escape("target of servo 3 (FFJ4) is no number")):
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


def test_a_late_reply_to_an_older_request_does_not_count(servos: ServoHand, line: Wires) -> None:
    line.position = HAND.rest + 0.1
    servos.read()
    # What the last request asked for, had it been answered a second time.
    (last,) = Parser().feed(line.received)[-1:]
    address, length = struct.unpack_from("<HH", last.parameters)
    older = line.bus.receive(requests.sync_read(address, length, range(1, 21)))
    line.position = np.array(HAND.rest)
    for _ in range(4):
        line.noise = older
        silent = line.bus.servos.pop(7)
        assert np.isnan(servos.read().position[6])
        assert servos.problem.startswith("no answer from servo 7")
        line.bus.servos[7] = silent
    line.noise = b""
    servos.read()
    np.testing.assert_allclose(servos.read().position, HAND.rest, atol=2e-3)


def test_a_bus_that_is_only_read(line: Wires) -> None:
    servos = ServoHand(HAND, line.port, BAUD, PATIENCE, readonly=True)
    servos.connect()
    np.testing.assert_allclose(servos.read().position, line.position, atol=2e-3)
    with pytest.raises(BusError, match="only to be read"):
        servos.write(Targets(0.0, frozen_array(HAND.rest)))
    with pytest.raises(BusError, match="only to be read"):
        servos.set_torque(False)
    servos.close()
    asked = {p.instruction for p in Parser().feed(line.received)}
    assert asked <= {Instruction.SYNC_READ, Instruction.FAST_SYNC_READ}


def test_a_read_takes_no_longer_than_told(servos: ServoHand, line: Wires) -> None:
    line.bus.servos.clear()
    began = time.monotonic()
    with pytest.raises(BusError, match="no answer"):
        servos.read(began + 0.01)
    assert time.monotonic() - began < PATIENCE
    assert servos.bus.missing[7] >= 1


def test_fast_reads_are_given_up_and_tried_again() -> None:
    choice = FastChoice()
    for _ in range(3):
        assert choice.wanted()
        choice.note(False)
    assert [choice.wanted() for _ in range(51)] == [False] * 50 + [True]
    choice.note(False)
    assert [choice.wanted() for _ in range(101)] == [False] * 100 + [True]
    choice.note(True)
    assert choice.wanted()


def test_a_hot_servo_is_left_less_torque_and_gets_it_back(servos: ServoHand, line: Wires) -> None:
    # What a synchronous write says has arrived once the next request is answered.
    servos.read()
    servo, goal = line.bus.servos[4], registers.GOAL_CURRENT
    whole = servo.get(goal)
    for celsius, share in ((65, 0.7), (80, 0.4), (30, 1.0)):
        servo.set(registers.TEMPERATURE, celsius)
        until = time.monotonic() + 60
        while servo.get(goal) != pytest.approx(share * whole, abs=1):
            # Each servo's turn comes once in two hundred reads; this one's is next.
            servos.condition._reads = 3 * POLL_EVERY - 1
            servos.read()
            assert time.monotonic() < until
        assert servos.condition.temperature[3] == celsius
    assert line.bus.servos[5].get(goal) == whole
    assert servos.condition.voltage[3] == pytest.approx(5.0)


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
    hand = replace(HAND, actuators=(*HAND.actuators[:2], *actuators, *HAND.actuators[4:]))
    with wires(hand) as line:
        servos = ServoHand(hand, line.port, BAUD, PATIENCE)
        servos.connect()
        servos.read()
        assert line.bus.servos[3].get(registers.OPERATING_MODE) == registers.POSITION
        assert line.bus.servos[3].get(registers.GOAL_PWM) == round(885 * 0.7 / 1.5)
        assert line.bus.servos[5].get(registers.OPERATING_MODE) == registers.CURRENT_BASED_POSITION
        servos.close()
    assert "servo 3 (FFJ4), 4 (FFJ3) cannot bound its current" in caplog.text


def test_servos_that_shut_down_are_started_anew_on_request(servos: ServoHand, line: Wires) -> None:
    servos.set_torque(True)
    with line.lock:
        line.faults.inject("alert", 7)
    with pytest.raises(BusError, match=r"servo 7 \(MFJ3\): overloaded"):
        servos.read()
    servos.close()
    with pytest.raises(BusError, match="overloaded"):
        servos.connect()
    assert servos.reboot() == ["7 (MFJ3)"]
    servos.connect()
    assert not line.bus.torque_on().any()
    servos.set_torque(True)
    servos.read()
    assert line.bus.torque_on().all()


def test_a_servo_that_started_anew_is_named(servos: ServoHand, line: Wires) -> None:
    servos.set_torque(True)
    with line.lock:
        line.faults.inject("rebooting", 7, time.monotonic())
    until, said = time.monotonic() + 30, "no answer"
    while "no answer" in said and time.monotonic() < until:
        try:
            servos.read()
        except BusError as error:
            said = str(error)
    assert "servo 7 (MFJ3) has started anew, without torque" in said
    servos.set_torque(True)
    assert line.bus.torque_on().all()
