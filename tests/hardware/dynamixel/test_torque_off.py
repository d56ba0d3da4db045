"""Torque goes off at every servo that can be reached, whatever is wrong with the others."""

import time

import numpy as np
import pytest

from inhand.hardware.backend import switch_torque_off
from inhand.hardware.dynamixel import registers
from inhand.hardware.dynamixel.driver import ServoHand
from inhand.hardware.dynamixel.parallel import ParallelHand, by_port
from inhand.hardware.dynamixel.protocol import Fault, Instruction, Parser
from inhand.hardware.errors import BusError, ServoError
from tests.hardware import conftest
from tests.sim_backend.wires import Wires, wires

HAND, BAUD, PATIENCE = conftest.HAND, conftest.BAUD, conftest.PATIENCE
LONG = 5.0
"""Longest time until a reply begins, where a deadline must end the wait before [s]."""
IDS = [actuator.servo.id for actuator in HAND.actuators]
ERRORS = sorted(registers.HARDWARE_ERRORS)


@pytest.mark.parametrize("bit", ERRORS)
def test_every_error_of_every_servo_leaves_none_with_torque(
    servos: ServoHand, line: Wires, bit: int
) -> None:
    for id in IDS:
        servos.set_torque(True)
        with line.lock:
            line.faults.inject("alert", id, error=1 << bit)
        assert servos.relax() == ""
        assert not line.bus.torque_on().any(), f"servo {id}"
        with line.lock:
            line.faults.mend()


def test_a_servo_with_an_error_still_pulls_if_it_does_not_shut_down_for_it(line: Wires) -> None:
    line.bus.servos[5].set(registers.TORQUE_ENABLE, 1)
    line.faults.inject("alert", 5, error=1)
    assert line.bus.torque_on()[4]
    line.faults.inject("alert", 5, error=registers.OVERHEATED)
    assert not line.bus.torque_on()[4]


@pytest.mark.parametrize("id", IDS)
def test_a_silent_servo_is_named_and_torque_goes_off_at_the_others(line: Wires, id: int) -> None:
    servos = ServoHand(HAND, line.port, BAUD, PATIENCE, watchdog=0)
    servos.connect()
    servos.set_torque(True)
    silent = line.bus.servos.pop(id)
    said = servos.relax()
    name = HAND.actuator_names[IDS.index(id)]
    assert f"torque could not be confirmed on servo {id} ({name})" in said
    assert [s.get(registers.TORQUE_ENABLE) for s in line.bus.servos.values()] == [0] * 19
    # When it answers again, torque is switched off again.
    line.bus.servos[id] = silent
    assert servos.relax() == "" and not line.bus.torque_on().any()
    servos.close()


def test_a_servo_that_goes_on_pulling_or_refuses_is_named(servos: ServoHand, line: Wires) -> None:
    servos.set_torque(True)
    line.bus.servos[3].write = lambda *_: None  # type: ignore[method-assign]
    assert servos.relax() == "torque did not go off at servo 3 (FFJ4)"
    line.bus.servos[4].read = lambda *_: Fault.ACCESS  # type: ignore[method-assign]
    said = servos.relax()
    assert "did not go off at servo 3 (FFJ4)" in said
    assert "could not be confirmed on servo 4 (FFJ3)" in said
    assert line.bus.torque_on().sum() == 1


def test_no_bring_up_is_needed_and_torque_off_comes_first(line: Wires) -> None:
    for servo in line.bus.servos.values():
        servo.set(registers.TORQUE_ENABLE, 1)
        servo.set(registers.MODEL_NUMBER, 1)
        servo.stop()
    servos = ServoHand(HAND, line.port, BAUD, PATIENCE)
    with pytest.raises(BusError, match="model"):
        servos.connect()
    line.received = b""
    assert servos.relax() == ""
    assert not line.bus.torque_on().any()
    first = Parser().feed(line.received)[0]
    assert first.instruction == Instruction.SYNC_WRITE
    assert int.from_bytes(first.parameters[:2], "little") == registers.TORQUE_ENABLE.address
    servos.close()


def test_a_port_that_came_back_is_opened_again(line: Wires) -> None:
    servos = ServoHand(HAND, line.port, BAUD, PATIENCE)
    servos.connect()
    # The open file belongs to a line that is gone; a new line has the same name.
    line.unplug()
    with wires(HAND) as again:
        servos.bus._line.path = again.port
        for servo in again.bus.servos.values():
            servo.set(registers.TORQUE_ENABLE, 1)
        assert servos.relax() == ""
        assert not again.bus.torque_on().any()
        servos.close()


def test_torque_off_without_a_port_is_retried_until_its_deadline(line: Wires) -> None:
    servos = ServoHand(HAND, "/dev/nothing", BAUD)
    with pytest.raises(BusError, match="no such device"):
        servos.relax()
    began = time.monotonic()
    assert "no such device" in switch_torque_off(servos, 0.1)
    assert time.monotonic() - began >= 0.1
    readonly = ServoHand(HAND, line.port, BAUD, readonly=True)
    with pytest.raises(BusError, match="opened read-only"):
        readonly.relax()
    readonly.close()


def test_torque_off_ends_at_its_deadline(line: Wires) -> None:
    # Replies are waited for much longer than the deadline allows: a busy machine is in time, too.
    servos = ServoHand(HAND, line.port, BAUD, LONG, watchdog=2.0)
    servos.connect()
    servos.set_torque(True)
    line.deafen()
    began = time.monotonic()
    assert "could not be confirmed" in servos.relax(began + 0.01)
    assert time.monotonic() - began < LONG
    servos.close()


def test_it_is_repeated_until_it_is_read_back(servos: ServoHand, line: Wires) -> None:
    servos.set_torque(True)
    for _ in range(6):
        line.faults.inject("lost")
    assert switch_torque_off(servos, 20.0) == ""
    assert not line.bus.torque_on().any()


@pytest.mark.parametrize("bit", ERRORS)
def test_torque_goes_off_on_several_buses_despite_a_hardware_error(bit: int) -> None:
    parts = by_port(HAND, "one", {"other": [1, 2, *range(9, 13), *range(16, 21)]})
    first, second = parts.values()
    with wires(first) as one, wires(second) as other:
        hand = ParallelHand(
            HAND,
            [
                ServoHand(part, line.port, BAUD, PATIENCE, watchdog=0)
                for part, line in zip(parts.values(), (one, other), strict=True)
            ],
        )
        hand.connect()
        for line, id in ((one, 3), (other, 9)):
            hand.set_torque(True)
            with line.lock:
                line.faults.inject("alert", id, error=1 << bit)
            assert hand.relax() == ""
            assert not one.bus.torque_on().any() and not other.bus.torque_on().any()
            with line.lock:
                line.faults.mend()
        hand.set_torque(True)
        one.unplug()
        with pytest.raises(BusError, match=one.port):
            hand.relax()
        assert not other.bus.torque_on().any()
        hand.close()


@pytest.mark.parametrize("id", [1, 7, 20])
def test_an_error_tells_what_was_measured(servos: ServoHand, line: Wires, id: int) -> None:
    servos.set_torque(True)
    line.faults.inject("alert", id, error=registers.OVERHEATED)
    with pytest.raises(ServoError, match="overheated") as caught:
        servos.read()
    joints = caught.value.joints
    assert joints is not None
    np.testing.assert_allclose(joints.position, line.position, atol=2e-3)


def test_an_encoder_that_failed_measures_nothing(servos: ServoHand, line: Wires) -> None:
    line.position = line.position + 2.0 * (np.arange(20) == 6)
    line.faults.inject("alert", 7, error=1 << 3)
    servos.set_torque(False)
    servos._pulling = True
    with pytest.raises(ServoError, match="encoder failed") as caught:
        servos.read()
    joints = caught.value.joints
    assert joints is not None and np.isnan(joints.position[6])
    assert np.isfinite(np.delete(joints.position, 6)).all()


def test_an_ill_servo_does_not_keep_the_watchdogs_from_being_looked_at(
    servos: ServoHand, line: Wires
) -> None:
    servos.set_torque(True)
    line.faults.inject("alert", 7)
    servos._watchdog._look_again = 0.0
    for _ in range(2):
        with pytest.raises(ServoError, match=r"servo 7 \(MFJ3\): overloaded") as caught:
            servos.read()
        assert caught.value.joints is not None
