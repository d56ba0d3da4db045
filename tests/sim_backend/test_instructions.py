"""Every instruction of Protocol 2.0, sent by Robotis' SDK over a pty to the emulated servos."""

from collections.abc import Iterator

import pytest
from dynamixel_sdk import (
    COMM_RX_TIMEOUT,
    COMM_SUCCESS,
    GroupBulkRead,
    GroupBulkWrite,
    PacketHandler,
    PortHandler,
)

from inhand.hardware.dynamixel import registers
from inhand.hardware.dynamixel.bus import Bus
from inhand.hardware.dynamixel.protocol import BROADCAST, Fault, Instruction, encode
from inhand.hardware.dynamixel.registers import COUNTS, Register
from inhand.hardware.model.hand import load_hand
from tests.sim_backend.wires import SIXTEEN, Wires, wires

HAND = load_hand(SIXTEEN)
SDK = PacketHandler(2.0)
ALL = range(1, 17)
GOAL, TORQUE, PRESENT = (
    registers.GOAL_POSITION,
    registers.TORQUE_ENABLE,
    registers.PRESENT_POSITION,
)


@pytest.fixture
def line() -> Iterator[Wires]:
    with wires(HAND) as line:
        yield line


def write(port: PortHandler, id: int, register: Register, value: int) -> int:
    data = list(register.pack(value))
    result, error = SDK.writeTxRx(port, id, register.address, register.size, data)
    assert result == COMM_SUCCESS
    return int(error)


def read(port: PortHandler, id: int, register: Register) -> int:
    data, result, error = SDK.readTxRx(port, id, register.address, register.size)
    assert (result, error) == (COMM_SUCCESS, 0)
    return register.unpack(bytes(data))


def register_write(port: PortHandler, id: int, register: Register, value: int) -> int:
    data = list(register.pack(value))
    result, error = SDK.regWriteTxRx(port, id, register.address, register.size, data)
    assert result == COMM_SUCCESS
    return int(error)


def still_silent(port: PortHandler, id: int) -> bool:
    """Whether a servo does not answer pings; called where no answer can be under way."""
    port.setPacketTimeoutMillis = lambda _: type(port).setPacketTimeoutMillis(port, 30)
    _, result, _ = SDK.ping(port, id)
    return bool(result == COMM_RX_TIMEOUT)


def test_a_registered_write_waits_for_the_action(port: PortHandler) -> None:
    for id in (3, 4):
        assert register_write(port, id, GOAL, 2000 + id) == 0
        assert read(port, id, registers.REGISTERED_INSTRUCTION) == 1
        assert read(port, id, GOAL) == 0
    assert register_write(port, 5, TORQUE, 2) == Fault.RANGE
    SDK.action(port, BROADCAST)
    for id in (3, 4):
        assert read(port, id, GOAL) == 2000 + id
        assert read(port, id, registers.REGISTERED_INSTRUCTION) == 0


def test_an_action_of_one_servo_is_answered(line: Wires) -> None:
    # The SDK does not wait for this answer.
    bus = Bus(line.port, 1_000_000)
    bus.patience = 1.0
    bus.open()
    try:
        data = GOAL.address.to_bytes(2, "little") + GOAL.pack(1900)
        for instruction, parameters in ((Instruction.REG_WRITE, data), (Instruction.ACTION, b"")):
            assert bus.ask(encode(4, instruction, parameters), [4], 0)[4].error == 0
        assert line.bus.servos[4].get(GOAL) == 1900
    finally:
        bus.close()


@pytest.mark.parametrize(
    ("option", "id", "baud"), [(0xFF, 1, 1), (0x01, 7, 1), (0x02, 7, 3)], ids=["all", "id", "baud"]
)
def test_a_factory_reset(port: PortHandler, line: Wires, option: int, id: int, baud: int) -> None:
    # Servo 1 is unplugged, so that the id is free.
    line.bus.members.remove(line.bus.servos[1])
    assert write(port, 7, registers.RETURN_DELAY, 0) == 0
    assert write(port, 7, registers.OPERATING_MODE, 5) == 0
    assert write(port, 7, registers.BAUD_RATE, 3) == 0
    assert write(port, 7, TORQUE, 1) == 0
    assert SDK.factoryReset(port, 7, option) == (COMM_SUCCESS, 0)
    assert read(port, id, registers.RETURN_DELAY) == 250
    assert read(port, id, registers.OPERATING_MODE) == 3
    assert read(port, id, registers.BAUD_RATE) == baud
    assert read(port, id, TORQUE) == 0
    assert SDK.factoryReset(port, 8, 0x07) == (COMM_SUCCESS, Fault.RANGE)


def test_a_factory_reset_of_all_ids_at_once_is_ignored(port: PortHandler) -> None:
    SDK.factoryReset(port, BROADCAST, 0xFF)
    assert read(port, 16, registers.ID) == 16
    assert write(port, 5, registers.RETURN_DELAY, 0) == 0
    SDK.factoryReset(port, BROADCAST, 0x01)
    assert read(port, 5, registers.RETURN_DELAY) == 250 and read(port, 16, registers.ID) == 16


def test_clear_reduces_the_position_to_one_turn(port: PortHandler, line: Wires) -> None:
    here = read(port, 3, PRESENT)
    line.bus.servos[3].turns = 2
    assert read(port, 3, PRESENT) == here + 2 * COUNTS
    assert SDK.clearMultiTurn(port, 3) == (COMM_SUCCESS, 0)
    assert read(port, 3, PRESENT) == here


def test_clear_is_refused_while_the_servo_moves(port: PortHandler, line: Wires) -> None:
    assert write(port, 3, registers.OPERATING_MODE, 4) == 0
    assert write(port, 3, registers.PROFILE_VELOCITY, 1) == 0
    assert write(port, 3, TORQUE, 1) == 0
    assert write(port, 3, GOAL, 100_000) == 0
    assert read(port, 3, registers.MOVING) == 1
    assert SDK.clearMultiTurn(port, 3) == (COMM_SUCCESS, Fault.RESULT)


def test_a_clear_without_its_key_is_refused(line: Wires) -> None:
    bus = Bus(line.port, 1_000_000)
    bus.patience = 1.0
    bus.open()
    try:
        for parameters, fault in ((b"\x01\x44\x58\x4c\x23", Fault.RANGE), (b"\x01", Fault.LENGTH)):
            packet = encode(3, Instruction.CLEAR, parameters)
            assert bus.ask(packet, [3], 0)[3].error == fault
    finally:
        bus.close()


@pytest.mark.parametrize("fast", [False, True])
def test_bulk_reads_and_writes(port: PortHandler, fast: bool) -> None:
    gain = registers.POSITION_P
    goals = GroupBulkWrite(port, SDK)
    goals.addParam(3, GOAL.address, GOAL.size, list(GOAL.pack(2100)))
    goals.addParam(9, gain.address, gain.size, list(gain.pack(700)))
    assert goals.txPacket() == COMM_SUCCESS
    values = GroupBulkRead(port, SDK)
    values.addParam(3, GOAL.address, GOAL.size)
    values.addParam(9, gain.address, gain.size)
    values.addParam(4, registers.MODEL_NUMBER.address, 2)
    assert (values.fastBulkRead() if fast else values.txRxPacket()) == COMM_SUCCESS
    assert values.getData(3, GOAL.address, 4) == 2100
    assert values.getData(9, gain.address, 2) == 700
    assert values.getData(4, 0, 2) == 1240


def test_a_broadcast_write_reaches_all_and_is_not_answered(port: PortHandler) -> None:
    assert SDK.writeTxOnly(port, BROADCAST, 116, 4, list(GOAL.pack(2222))) == COMM_SUCCESS
    assert {read(port, id, GOAL) for id in ALL} == {2222}


def test_a_broadcast_reboot(port: PortHandler) -> None:
    for id in (2, 5):
        assert write(port, id, TORQUE, 1) == 0
    SDK.reboot(port, BROADCAST)
    assert {read(port, id, TORQUE) for id in ALL} == {0}


def test_a_reboot_restores_everything_in_ram(port: PortHandler) -> None:
    assert write(port, 3, registers.POSITION_P, 300) == 0
    assert write(port, 3, registers.CURRENT_LIMIT, 400) == 0
    assert write(port, 3, registers.GOAL_CURRENT, 200) == 0
    assert write(port, 3, registers.PROFILE_VELOCITY, 50) == 0
    assert SDK.reboot(port, 3) == (COMM_SUCCESS, 0)
    assert read(port, 3, registers.POSITION_P) == 1100
    assert read(port, 3, registers.CURRENT_LIMIT) == 400
    assert read(port, 3, registers.GOAL_CURRENT) == 400
    assert read(port, 3, registers.PROFILE_VELOCITY) == 0
    assert read(port, 3, GOAL) == read(port, 3, PRESENT)


def test_the_status_return_level(port: PortHandler) -> None:
    level = registers.STATUS_RETURN_LEVEL
    assert write(port, 3, level, 1) == 0
    # No answer to writes, which are executed.
    SDK.writeTxOnly(port, 3, 116, 4, list(GOAL.pack(2100)))
    assert read(port, 3, GOAL) == 2100
    SDK.writeTxOnly(port, 3, level.address, 1, [0])
    assert SDK.ping(port, 3)[1] == COMM_SUCCESS
    SDK.writeTxOnly(port, 3, level.address, 1, [2])
    assert read(port, 3, level) == 2


def test_another_protocol_is_not_understood(port: PortHandler) -> None:
    assert write(port, 3, registers.PROTOCOL, 20) == 0
    assert still_silent(port, 3)
    assert SDK.ping(port, 4)[1] == COMM_SUCCESS


def test_a_secondary_id_is_obeyed_and_not_answered(port: PortHandler) -> None:
    for id in (3, 4):
        assert write(port, id, registers.SECONDARY_ID, 100) == 0
    SDK.writeTxOnly(port, 100, 116, 4, list(GOAL.pack(1999)))
    assert read(port, 3, GOAL) == read(port, 4, GOAL) == 1999
    assert still_silent(port, 100)


def test_indirect_data(port: PortHandler) -> None:
    # Successive bytes stand for the goal position and the LED.
    pointers = [116, 117, 118, 119, 65]
    for i, target in enumerate(pointers):
        assert SDK.write2ByteTxRx(port, 3, 168 + 2 * i, target) == (COMM_SUCCESS, 0)
    data = [*GOAL.pack(2345), 1]
    assert SDK.writeTxRx(port, 3, 208, 5, data) == (COMM_SUCCESS, 0)
    assert read(port, 3, GOAL) == 2345 and read(port, 3, registers.LED) == 1
    assert SDK.readTxRx(port, 3, 208, 5) == (data, COMM_SUCCESS, 0)
    # The rules of the register behind it apply.
    assert SDK.writeTxRx(port, 3, 208, 3, [0, 0, 0]) == (COMM_SUCCESS, Fault.LENGTH)
    assert SDK.write1ByteTxRx(port, 3, 212, 2) == (COMM_SUCCESS, Fault.RANGE)
    assert SDK.write2ByteTxRx(port, 3, 168, 20) == (COMM_SUCCESS, Fault.RANGE)


def test_a_backup_of_the_control_table(line: Wires, port: PortHandler) -> None:
    servo = line.bus.servos[3]
    assert servo.restore() == Fault.RESULT
    assert write(port, 3, registers.RETURN_DELAY, 4) == 0
    assert servo.back_up() is None and read(port, 3, registers.BACKUP_READY) == 1
    assert SDK.factoryReset(port, 3, 0x02) == (COMM_SUCCESS, 0)
    assert read(port, 3, registers.RETURN_DELAY) == 250
    assert servo.restore() is None and read(port, 3, registers.RETURN_DELAY) == 4


def test_equal_answers_of_two_servos_look_like_one(port: PortHandler, line: Wires) -> None:
    twin = line.bus.servos[4]
    assert write(port, 4, registers.ID, 3) == 0
    assert line.bus.members.twins == [twin]
    assert SDK.ping(port, 3) == (1240, COMM_SUCCESS, 0)
    # Both take what is written, and both get another id.
    assert write(port, 3, registers.ID, 9) == 0
    assert line.bus.members.addressed(3) == ()


def test_different_answers_of_two_servos_are_garbled(port: PortHandler, line: Wires) -> None:
    line.bus.servos[4].set(registers.RETURN_DELAY, 100)
    assert write(port, 4, registers.ID, 3) == 0
    address = registers.RETURN_DELAY.address
    assert SDK.readTxRx(port, 3, address, 1)[1] != COMM_SUCCESS
    # With one of them unplugged, the other answers.
    line.bus.members.remove(line.bus.servos[3])
    assert SDK.readTxRx(port, 3, address, 1) == ([100], COMM_SUCCESS, 0)


def test_unknown_instructions_and_wrong_lengths(line: Wires) -> None:
    bus = Bus(line.port, 1_000_000)
    bus.patience = 1.0
    bus.open()
    try:
        for instruction, parameters, fault in (
            (0x77, b"", Fault.INSTRUCTION),
            # No write waits for it.
            (Instruction.ACTION, b"", Fault.INSTRUCTION),
            (Instruction.READ, b"\x00", Fault.LENGTH),
            (Instruction.WRITE, b"\x40\x00", Fault.LENGTH),
            (Instruction.REG_WRITE, b"\x40\x00", Fault.LENGTH),
            (Instruction.FACTORY_RESET, b"", Fault.LENGTH),
            (Instruction.BACKUP, b"\x01CTRX", Fault.LENGTH),
        ):
            assert bus.ask(encode(3, instruction, parameters), [3], None)[3].error == fault
    finally:
        bus.close()
