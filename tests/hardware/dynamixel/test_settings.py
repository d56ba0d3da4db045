"""Registers that other programs left behind: what bring-up sets, and what it refuses by name."""

from typing import Any

import pytest

from inhand.hardware.dynamixel import registers as r
from inhand.hardware.dynamixel.control_table import control_table, table_size
from inhand.hardware.dynamixel.driver import ServoHand
from inhand.hardware.dynamixel.models import MODELS
from inhand.hardware.dynamixel.protocol import Instruction, Parser
from inhand.hardware.dynamixel.registers import Register
from inhand.hardware.dynamixel.settings import Action, deviations, settings
from inhand.hardware.errors import BusError
from inhand.sim_backend.servo import Servo
from tests.hardware import conftest
from tests.sim_backend.wires import Wires

HAND, BAUD, PATIENCE = conftest.HAND, conftest.BAUD, conftest.PATIENCE
LIMIT = 1355
"""Goal current of an XC330-M288 for the 0.7 N·m of the hand file."""

SET = {
    r.OPERATING_MODE: 1,
    r.RETURN_DELAY: 250,
    r.SECONDARY_ID: 7,
    r.MOVING_THRESHOLD: 500,
    r.TEMPERATURE_LIMIT: 95,
    r.PWM_LIMIT: 300,
    r.STARTUP: 1,
    r.PWM_SLOPE: 1,
    r.SHUTDOWN: 0,
    r.STATUS_RETURN_LEVEL: 1,
    r.FEEDFORWARD_1: 400,
    r.FEEDFORWARD_2: 400,
    r.GOAL_PWM: 100,
    r.GOAL_CURRENT: 2352,
    r.PROFILE_ACCELERATION: 20,
    r.PROFILE_VELOCITY: 30,
    r.CURRENT_LIMIT: 2352,
}
REFUSED = {r.DRIVE_MODE: 1, r.HOMING_OFFSET: -512, r.CURRENT_LIMIT: 500}


@pytest.fixture
def hand(line: Wires) -> ServoHand:
    return ServoHand(HAND, line.port, BAUD, PATIENCE, watchdog=0)


def deaf_to(servo: Servo, register: Register, times: int) -> None:
    """Makes a servo lose the next writes of a register, as a damaged packet would."""
    write, left = servo.write, [times]

    def lossy(address: int, data: bytes) -> Any:
        if address == register.address and left[0]:
            left[0] -= 1
            return None
        return write(address, data)

    servo.write = lossy  # type: ignore[method-assign]


@pytest.mark.parametrize("register", SET, ids=lambda register: str(register.address))
def test_what_may_be_set_is_set(hand: ServoHand, line: Wires, register: Register) -> None:
    servo = line.bus.servos[7]
    servo.set(register, SET[register])
    hand.connect()
    hand.read()
    wanted = settings(MODELS["XC330-M288"], LIMIT, LIMIT)
    table = bytes(servo.read(0, 128))
    assert [d for d in deviations(7, wanted, table) if d.setting.action is Action.SET] == []
    assert servo.get(register) != SET[register]
    hand.close()


@pytest.mark.parametrize("register", REFUSED, ids=lambda register: str(register.address))
def test_what_may_not_be_set_is_named(hand: ServoHand, line: Wires, register: Register) -> None:
    servo, value = line.bus.servos[7], REFUSED[register]
    servo.set(register, value)
    with pytest.raises(BusError) as caught:
        hand.connect()
    said = str(caught.value)
    assert f"servo 7 (MFJ3): {control_table(MODELS['XC330-M288'])[register.address].name}" in said
    assert f"(register {register.address}) is {value} instead of" in said
    assert "remedy: `inhand restore`" in said
    assert servo.get(register) == value and not line.bus.torque_on().any()


def test_a_watcher_changes_nothing_and_logs_it(
    line: Wires, caplog: pytest.LogCaptureFixture
) -> None:
    line.bus.servos[7].set(r.HOMING_OFFSET, 99)
    hand = ServoHand(HAND, line.port, BAUD, PATIENCE, readonly=True)
    hand.connect()
    assert "servo 7 (MFJ3): homing offset (register 20) is 99" in caplog.text
    assert line.bus.servos[7].get(r.GOAL_CURRENT) == 2352
    hand.close()


def test_a_lost_write_of_the_goal_current_is_repeated(hand: ServoHand, line: Wires) -> None:
    deaf_to(line.bus.servos[7], r.GOAL_CURRENT, 2)
    hand.connect()
    hand.set_torque(True)
    assert line.bus.servos[7].get(r.GOAL_CURRENT) == LIMIT
    hand.close()


@pytest.mark.parametrize("register", [r.GOAL_CURRENT, r.PROFILE_VELOCITY, r.SHUTDOWN])
def test_torque_goes_on_only_if_all_settings_are_equal(
    hand: ServoHand, line: Wires, register: Register
) -> None:
    hand.connect()
    servo = line.bus.servos[7]
    servo.set(register, 40)
    deaf_to(servo, register, 99)
    with pytest.raises(BusError, match=rf"servo 7 \(MFJ3\): .*\(register {register.address}\)"):
        hand.set_torque(True)
    assert not line.bus.torque_on().any()
    hand.close()


def test_a_servo_that_restarted_while_off_is_set_up_before_torque(
    hand: ServoHand, line: Wires
) -> None:
    hand.connect()
    line.bus.servos[7].set(r.GOAL_CURRENT, 2352)
    line.bus.servos[7].set(r.PROFILE_VELOCITY, 5)
    hand.set_torque(True)
    assert line.bus.servos[7].get(r.GOAL_CURRENT) == LIMIT
    assert line.bus.servos[7].get(r.PROFILE_VELOCITY) == 0
    hand.close()


def test_a_restarted_servo_is_no_stronger_than_the_hand_file_allows(
    hand: ServoHand, line: Wires
) -> None:
    hand.connect()
    hand.read()
    for servo in line.bus.servos.values():
        servo.reboot()
    assert line.bus.servos[7].get(r.GOAL_CURRENT) == LIMIT
    hand.close()


def test_a_share_of_the_torque_leaves_the_limit_in_eeprom(line: Wires) -> None:
    for share in (0.3, 1.0):
        hand = ServoHand(HAND, line.port, BAUD, PATIENCE, torque_share=share)
        hand.connect()
        hand.read()
        assert line.bus.servos[7].get(r.CURRENT_LIMIT) == LIMIT
        assert line.bus.servos[7].get(r.GOAL_CURRENT) == pytest.approx(share * LIMIT, abs=1)
        hand.close()


def test_servos_without_current_control_have_their_pwm_limited() -> None:
    rows = {row.register: row for row in settings(MODELS["XL430-W250"], 300, 500)}
    assert r.CURRENT_LIMIT not in rows and rows[r.GOAL_PWM].wanted == 300
    assert rows[r.MAX_POSITION].action is Action.SET
    assert rows[r.OPERATING_MODE].wanted == 3


def test_torque_that_was_left_on_has_its_remedy(hand: ServoHand, line: Wires) -> None:
    line.bus.servos[7].set(r.TORQUE_ENABLE, 1)
    with pytest.raises(BusError, match="`inhand reboot 7` switches torque off"):
        hand.connect()


def test_a_second_bring_up_writes_nothing(hand: ServoHand, line: Wires) -> None:
    hand.connect()
    hand.close()
    line.received = b""
    hand.connect()
    hand.close()
    packets = Parser().feed(line.received)
    written = {Instruction.WRITE, Instruction.SYNC_WRITE}
    assert packets and not [p for p in packets if p.instruction in written]


@pytest.mark.parametrize("name", MODELS)
def test_a_servo_as_it_comes_accepts_its_settings(name: str) -> None:
    model = MODELS[name]
    memory = bytearray(table_size(model))
    for address, entry in control_table(model).items():
        size = entry.register.size
        memory[address : address + size] = entry.register.pack(entry.default or 0)
    most = model.torque_goal(model.stall_torque / 2)
    rows = settings(model, most, most)
    left = {d.setting.entry.name: d.setting.action for d in deviations(1, rows, bytes(memory))}
    assert set(left.values()) == {Action.SET}
    assert {"return delay time"} <= left.keys()
    for row in rows:
        assert row.entry.writable and row.entry.low <= row.wanted <= (row.entry.high or 0)
    assert list(control_table(model)) == sorted(control_table(model))
