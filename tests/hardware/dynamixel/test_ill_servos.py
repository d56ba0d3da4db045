"""The driver when servos do not reply, reply late, are hot or have shut down."""

import re
import struct
import time

import numpy as np
import pytest

from inhand.hardware.dynamixel import registers, requests
from inhand.hardware.dynamixel.condition import POLL_EVERY
from inhand.hardware.dynamixel.driver import ServoHand
from inhand.hardware.dynamixel.fast_read import FastChoice
from inhand.hardware.dynamixel.poll_list import EAGER, PAUSE
from inhand.hardware.dynamixel.protocol import Parser
from inhand.hardware.errors import BusError
from tests.hardware import conftest
from tests.sim_backend.wires import Wires

HAND = conftest.HAND
LONG = 5.0
"""Longest time until a reply begins, where a deadline must end the wait before [s]."""


def test_noise_on_the_line_is_passed_over(servos: ServoHand, line: Wires) -> None:
    line.noise = b"\xff\xff\xfd\x00\x03noise\xff\xff\xfd"
    np.testing.assert_allclose(servos.read().position, line.position, atol=2e-3)


@pytest.mark.parametrize("at", [0, 6, 19])
def test_a_silent_servo_is_named_and_nothing_stale_comes_back(
    servos: ServoHand, line: Wires, at: int
) -> None:
    id = HAND.actuators[at].servo.id
    servos.read()
    silent = line.bus.servos.pop(id)
    others = np.arange(20) != at
    line.position = HAND.rest + 0.05
    for _ in range(30):
        state = servos.read()
        for values in (state.position, state.velocity, state.current):
            assert np.isnan(values[at])
            assert np.isfinite(values[others]).all()
        np.testing.assert_allclose(state.position[others], line.position[others], atol=2e-3)
        name = HAND.actuator_names[at]
        assert servos.problem == f"no answer from servo {id} ({name}) on {line.port}"
    line.bus.servos[id] = silent
    for _ in range(PAUSE + 1):
        if np.isfinite(servos.read().position).all():
            break
    assert servos.problem == ""
    assert servos.read().position[at] == pytest.approx(line.position[at], abs=2e-3)


def test_a_silent_servo_does_not_delay_reads(servos: ServoHand, line: Wires) -> None:
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


def test_a_voltage_out_of_range_is_reported_with_a_remedy(servos: ServoHand, line: Wires) -> None:
    assert servos.problem == ""
    for volts, remedy in ((31, "3.1 V.*3.5 to 7.0 V.*too weak"), (74, "7.4 V.*too high")):
        line.bus.servos[4].set(registers.INPUT_VOLTAGE, volts)
        until = time.monotonic() + 120
        while not re.search(remedy, servos.problem):
            servos.read()
            assert time.monotonic() < until
        assert "servo 4 (FFJ3)" in servos.problem


def test_a_hardware_error_is_reported_in_words(servos: ServoHand, line: Wires) -> None:
    line.bus.servos[4].set(registers.HARDWARE_ERROR, 1 << 2)
    with pytest.raises(BusError, match=r"servo 4 \(FFJ3\): overheated; remove the cause"):
        servos.read()


def test_a_late_reply_to_an_older_request_does_not_count(servos: ServoHand, line: Wires) -> None:
    line.position = HAND.rest + 0.1
    servos.read()
    # A second reply to the last request.
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


def test_a_read_ends_at_its_deadline_with_a_silent_servo(line: Wires) -> None:
    # Replies are waited for much longer than the deadline allows: a busy machine is in time, too.
    servos = ServoHand(HAND, line.port, conftest.BAUD, LONG, watchdog=2.0)
    servos.connect()
    line.bus.servos.clear()
    began = time.monotonic()
    with pytest.raises(BusError, match="no answer"):
        servos.read(began + 0.01)
    assert time.monotonic() - began < LONG
    assert servos.bus.missing[7] >= 1
    servos.close()


def test_fast_reads_pause_after_failures_and_are_tried_again() -> None:
    choice = FastChoice()
    for _ in range(3):
        assert choice.wanted()
        choice.note(False)
    assert [choice.wanted() for _ in range(51)] == [False] * 50 + [True]
    choice.note(False)
    assert [choice.wanted() for _ in range(101)] == [False] * 100 + [True]
    choice.note(True)
    assert choice.wanted()


def test_a_hot_servo_is_reported_and_its_torque_limit_stays(servos: ServoHand, line: Wires) -> None:
    # A sync write has arrived when the next request is answered.
    servos.read()
    servo, goal = line.bus.servos[4], registers.GOAL_CURRENT
    bound = servo.get(goal)
    for celsius in (65, 80, 30):
        servo.set(registers.TEMPERATURE, celsius)
        # Each servo's turn comes once in two hundred reads; this one's is next.
        servos.condition._reads = 3 * POLL_EVERY - 1
        until = time.monotonic() + 120
        while (state := servos.read()).temperature is None or state.temperature[3] != celsius:
            assert time.monotonic() < until
        servos.read()
        assert servo.get(goal) == bound
    assert servos.condition.voltage[3] == pytest.approx(5.0)


def test_servos_that_shut_down_are_rebooted_on_request(servos: ServoHand, line: Wires) -> None:
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
