"""Servos that count from another turn, and joints that stand outside their range, on a pty line."""

import time
from contextlib import suppress

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inhand.hardware.dynamixel import registers, requests
from inhand.hardware.dynamixel.driver import ServoHand
from inhand.hardware.dynamixel.protocol import Instruction, encode
from inhand.hardware.dynamixel.registers import COUNTS, Units
from inhand.hardware.dynamixel.simulated_servos import with_servos
from inhand.hardware.dynamixel.turns import MARGIN, Turns
from inhand.hardware.errors import BusError, DescriptionError
from inhand.hardware.identification.encoder_offsets import SeatedServo, seated
from inhand.hardware.model.hand import HANDS, load_hand
from inhand.hardware.records import Array, Targets, frozen_array
from tests.hardware import conftest
from tests.sim_backend.wires import Wires

HAND, BAUD, PATIENCE = conftest.HAND, conftest.BAUD, conftest.PATIENCE
N = HAND.n_actuators
COUNT = 2 * np.pi / COUNTS


def driver(line: Wires, **options: bool) -> ServoHand:
    return ServoHand(HAND, line.port, BAUD, PATIENCE, watchdog=0, **options)


def goals(line: Wires) -> Array:
    """Where the servos are told to be, as joint angles [rad]."""
    return line.bus.targets()


def measured(servos: ServoHand) -> Array:
    """The angles [rad], once all servos have answered: on a busy machine a reply may be late."""
    while True:
        with suppress(BusError):
            position = servos.read().position
            if np.isfinite(position).all():
                return position


@pytest.mark.parametrize("turns", [-3, -1, 1, 2])
@pytest.mark.parametrize("at", range(N))
def test_a_servo_some_turns_away_is_read_and_commanded_where_it_stands(
    line: Wires, at: int, turns: int
) -> None:
    line.bus.in_order[at].turns = turns
    before = line.position.copy()
    servos = driver(line)
    servos.connect()
    np.testing.assert_allclose(measured(servos), before, atol=COUNT)
    servos.set_torque(True)
    np.testing.assert_allclose(measured(servos), before, atol=COUNT)
    sent = servos.write(Targets(0.0, frozen_array(before + 0.05)))
    np.testing.assert_allclose(measured(servos), sent.position, atol=COUNT)
    np.testing.assert_allclose(line.position, sent.position, atol=COUNT)
    assert not line.bus.outside
    servos.close()


def test_a_power_cycle_while_torque_is_off_moves_nothing(line: Wires) -> None:
    """The joint stands below the servo's turn, as it was turned there; then it forgets that."""
    servos = driver(line)
    servos.connect()
    line.bus.in_order[4].turns = 2
    np.testing.assert_allclose(servos.read().position, line.position, atol=COUNT)
    before = line.position.copy()
    line.bus.servos[5].reboot()
    assert line.bus.in_order[4].turns == 0
    np.testing.assert_allclose(servos.read().position, before, atol=COUNT)
    servos.set_torque(True)
    servos.read()
    np.testing.assert_allclose(line.position, before, atol=COUNT)
    servos.close()


def test_a_servo_that_starts_anew_in_another_turn_is_brought_up_again(line: Wires) -> None:
    line.bus.in_order[6].turns = 1
    servos = driver(line)
    servos.connect()
    servos.set_torque(True)
    before = line.position.copy()
    with line.lock:
        line.faults.inject("alert", 7)
    assert servos.relax() == ""
    assert servos.reboot() == ["7 (MFJ3)"]
    assert line.bus.in_order[6].turns == 0
    servos.close()
    servos.connect()
    servos.set_torque(True)
    servos.read()
    np.testing.assert_allclose(line.position, before, atol=COUNT)
    servos.close()


@pytest.mark.parametrize("way", [-0.45, 0.45])
@pytest.mark.parametrize("at", range(N))
def test_a_joint_outside_its_range_is_pinned_where_it_stands_and_comes_back(
    line: Wires, at: int, way: float
) -> None:
    end = HAND.lower[at] if way < 0 else HAND.upper[at]
    line.position[at] = end + way
    before = line.position.copy()
    servos = driver(line)
    servos.connect()
    servos.set_torque(True)
    servos.read()
    np.testing.assert_allclose(goals(line), before, atol=COUNT)
    # Not even a command moves it further out, nor out again.
    there = before.copy()
    for share in (1.2, 0.6, 0.8, 0.3):
        there[at] = end + share * way
        servos.write(Targets(0.0, frozen_array(there)))
        servos.read()
        expected = end + min(share, 1.0 if share > 1 else 0.6, 0.6 if share == 0.8 else share) * way
        assert goals(line)[at] == pytest.approx(expected, abs=2 * COUNT)
    there[at] = end - 0.1 * np.sign(way)
    servos.write(Targets(0.0, frozen_array(there)))
    there[at] = end + way
    sent = servos.write(Targets(0.0, frozen_array(there)))
    assert sent.position[at] == pytest.approx(end, abs=COUNT)
    servos.close()


@pytest.mark.parametrize("at", range(N))
def test_a_joint_that_can_be_in_no_turn_where_it_stands_is_refused_before_any_torque(
    line: Wires, at: int
) -> None:
    line.position[at] = HAND.upper[at] + MARGIN + 0.1
    servos, name = driver(line), HAND.actuator_names[at]
    with pytest.raises(BusError, match=rf"joint {name} \(servo {at + 1}\) stands at .* rad") as one:
        servos.connect()
    assert "move it there by hand" in str(one.value) and "calibrate joints" in str(one.value)
    assert not line.bus.torque_on().any()
    # Somebody moves it; then it is moved again behind the driver's back.
    line.position[at] = HAND.rest[at]
    servos.connect()
    line.position[at] = HAND.lower[at] - MARGIN - 0.1
    with pytest.raises(BusError, match=f"joint {name} "):
        servos.set_torque(True)
    assert not line.bus.torque_on().any()
    servos.close()


def test_reading_and_joint_calibration_accept_any_turn(line: Wires) -> None:
    line.position[4] = HAND.upper[4] + 1.0
    line.bus.in_order[7].turns = 1
    for options in ({"readonly": True}, {"anywhere": True}):
        servos = driver(line, **options)
        servos.connect()
        np.testing.assert_allclose(servos.read().position, line.position, atol=COUNT)
        servos.close()


def test_while_zeros_are_looked_for_a_servo_is_read_within_its_own_turn(line: Wires) -> None:
    servos = driver(line, anywhere=True)
    servos.connect()
    angle = HAND.actuators[4].servo.sign * 3.0
    line.position[4] = angle
    assert servos.read().position[4] == pytest.approx(angle, abs=COUNT)
    servos.close()


def test_a_servo_that_does_not_take_its_goal_gets_no_torque(line: Wires) -> None:
    servos = driver(line)
    servos.connect()
    servo, write = line.bus.servos[3], line.bus.servos[3].write
    servo.write = lambda at, data: None if at == 116 else write(at, data)  # type: ignore[method-assign]
    line.position = line.position + 0.1
    with pytest.raises(BusError, match=r"servo 3 \(FFJ4\) did not take its present position"):
        servos.set_torque(True)
    assert not line.bus.torque_on().any()
    servos.close()


def test_an_owner_before_left_torque_and_a_joint_outside(line: Wires) -> None:
    before = driver(line)
    line.position[4] = HAND.upper[4] + 0.3
    line.bus.in_order[5].turns = -1
    before.connect()
    before.set_torque(True)
    before.read()
    stood = line.position.copy()
    before.close()
    for servo in line.bus.servos.values():
        servo.stop()
    servos = driver(line)
    servos.connect()
    servos.read()
    np.testing.assert_allclose(goals(line), stood, atol=COUNT)
    servos.close()


@given(st.sampled_from([path.stem for path in HANDS.glob("*.toml")]), st.data())
def test_the_turn_is_found_wherever_a_joint_may_stand(name: str, data: st.DataObject) -> None:
    hand = with_servos(load_hand(name))
    units = Units(hand)
    share = data.draw(st.lists(st.floats(0, 1), min_size=16, max_size=16))
    turns = data.draw(st.lists(st.integers(-256, 255), min_size=16, max_size=16))
    share, turns = np.resize(share, hand.n_actuators), np.resize(turns, hand.n_actuators)
    lower, upper = hand.lower - MARGIN, hand.upper + MARGIN
    stands = lower + share * (upper - lower)
    counts = units.position_counts(stands)
    found = Turns(hand, units)
    found.settle(counts + COUNTS * turns)
    np.testing.assert_array_equal(found.counts, COUNTS * turns)
    np.testing.assert_allclose(found.angles(counts + COUNTS * turns), stands, atol=COUNT)


def test_the_emulator_forgets_turns_as_servos_do(line: Wires) -> None:
    servos = driver(line)
    servos.connect()
    line.bus.in_order[2].turns = 5
    servos.read()
    # The key is the manual's (Protocol 2.0, Clear).
    line.bus.receive(encode(3, Instruction.CLEAR, b"\x01\x44\x58\x4c\x22"))
    assert line.bus.in_order[2].turns == 0
    line.bus.in_order[2].turns = -5
    servos.read()
    line.bus.receive(requests.reboot(3))
    time.sleep(0)
    assert 0 <= line.bus.servos[3].get(registers.PRESENT_POSITION) < COUNTS
    servos.close()


@pytest.mark.parametrize(("zero", "crosses"), [(-1.6, True), (4.0, True), (-1.4, False)])
def test_a_range_that_crosses_the_end_of_a_turn_is_refused(zero: float, crosses: bool) -> None:
    at = HAND.actuator_names.index("FFJ3")
    found = SeatedServo(HAND.actuators[at].servo.sign, zero, (0.0, 1.571))
    if not crosses:
        assert seated(HAND, {"FFJ3": found}).actuators[at].servo.zero == zero
        return
    with pytest.raises(DescriptionError, match="actuator FFJ3: range .* crosses the end"):
        seated(HAND, {"FFJ3": msgspec.structs.replace(found, zero=zero)})
