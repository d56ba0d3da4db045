"""The emulated servos, talked to by Robotis' own SDK over a pty."""

import time
from collections.abc import Iterator

import pytest
from dynamixel_sdk import (
    COMM_RX_TIMEOUT,
    COMM_SUCCESS,
    GroupSyncRead,
    GroupSyncWrite,
    PacketHandler,
    PortHandler,
)

from hardware import registers
from hardware.hand import load_hand
from hardware.protocol import ALERT, Fault
from tests.sim_backend.wires import Wires, wires

HAND = load_hand("dactyl24")
SDK = PacketHandler(2.0)


@pytest.fixture
def line() -> Iterator[Wires]:
    with wires(HAND) as line:
        yield line


@pytest.fixture
def port(line: Wires, monkeypatch: pytest.MonkeyPatch) -> Iterator[PortHandler]:
    # The SDK waits twice as long [ms] for each reply: others use this machine too.
    monkeypatch.setattr("dynamixel_sdk.port_handler.LATENCY_TIMER", 500)
    port = PortHandler(line.port)
    assert port.openPort()
    yield port
    port.closePort()


def test_ping_tells_the_model(port: PortHandler) -> None:
    for actuator in HAND.actuators:
        model, result, error = SDK.ping(port, actuator.servo.id)
        assert (result, error) == (COMM_SUCCESS, 0)
        assert model == registers.MODELS[actuator.servo.model].number


def test_nobody_answers_for_a_servo_that_is_not_there(port: PortHandler) -> None:
    _, result, _ = SDK.ping(port, 200)
    assert result == COMM_RX_TIMEOUT


def test_what_is_written_is_read(port: PortHandler) -> None:
    assert SDK.write4ByteTxRx(port, 3, 116, 2500) == (COMM_SUCCESS, 0)
    assert SDK.read4ByteTxRx(port, 3, 116) == (2500, COMM_SUCCESS, 0)


def test_synchronous_read_and_write(port: PortHandler, line: Wires) -> None:
    goals = GroupSyncWrite(port, SDK, 116, 4)
    for id in range(1, 21):
        goals.addParam(id, list((2000 + id).to_bytes(4, "little")))
        SDK.write1ByteTxRx(port, id, 64, 1)
    assert goals.txPacket() == COMM_SUCCESS
    present = GroupSyncRead(port, SDK, 132, 4)
    for id in range(1, 21):
        present.addParam(id)
    assert present.txRxPacket() == COMM_SUCCESS
    assert [present.getData(id, 132, 4) for id in range(1, 21)] == [2000 + i for i in range(1, 21)]
    # The sign and zero of the hand file, worked out by hand: 2001 of servo 1 is 47 below centre.
    assert line.position[0] == pytest.approx(-47 * 2 * 3.14159265 / 4096)
    assert HAND.actuators[2].servo.sign == -1
    assert line.position[2] == pytest.approx(45 * 2 * 3.14159265 / 4096)


@pytest.mark.parametrize(
    ("address", "size", "value", "fault"),
    [
        (132, 4, 5, Fault.ACCESS),  # present position is read-only
        (0, 2, 5, Fault.ACCESS),  # so is the model
        (64, 1, 2, Fault.RANGE),  # torque is 0 or 1
        (102, 2, 5000, Fault.RANGE),  # more than the current limit
    ],
)
def test_what_a_servo_refuses(
    port: PortHandler, address: int, size: int, value: int, fault: Fault
) -> None:
    result = SDK.writeTxRx(port, 3, address, size, list(value.to_bytes(size, "little")))
    assert result == (COMM_SUCCESS, fault)


def test_eeprom_is_locked_while_torque_is_on(port: PortHandler) -> None:
    assert SDK.write1ByteTxRx(port, 3, 64, 1) == (COMM_SUCCESS, 0)
    assert SDK.write1ByteTxRx(port, 3, 9, 0) == (COMM_SUCCESS, Fault.ACCESS)
    assert SDK.write1ByteTxRx(port, 3, 64, 0) == (COMM_SUCCESS, 0)
    assert SDK.write1ByteTxRx(port, 3, 9, 0) == (COMM_SUCCESS, 0)


def test_a_servo_in_alarm_says_so_and_can_still_be_read(port: PortHandler, line: Wires) -> None:
    line.bus.servos[3].set(registers.HARDWARE_ERROR, 1 << 5)
    assert SDK.read1ByteTxRx(port, 3, 70) == (32, COMM_SUCCESS, ALERT)
    assert SDK.write1ByteTxRx(port, 3, 64, 1) == (COMM_SUCCESS, ALERT | Fault.RESULT)
    assert SDK.reboot(port, 3) == (COMM_SUCCESS, 0)
    assert SDK.write1ByteTxRx(port, 3, 64, 1) == (COMM_SUCCESS, 0)


def test_fast_synchronous_read(port: PortHandler, line: Wires) -> None:
    present = GroupSyncRead(port, SDK, 132, 4)
    for id in range(1, 21):
        present.addParam(id)
    assert present.fastSyncRead() == COMM_SUCCESS
    line.bus._refresh()
    for id in range(1, 21):
        assert present.getData(id, 132, 4) == line.bus.servos[id].get(registers.PRESENT_POSITION)


def test_the_watchdog_stops_a_servo_and_is_cleared(port: PortHandler, line: Wires) -> None:
    assert SDK.write1ByteTxRx(port, 3, 64, 1) == (COMM_SUCCESS, 0)
    assert SDK.write1ByteTxRx(port, 3, 98, 5) == (COMM_SUCCESS, 0)
    deadline = time.monotonic() + 30
    while not line.bus.servos[3].stopped:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert SDK.read1ByteTxRx(port, 3, 98) == (255, COMM_SUCCESS, 0)
    assert SDK.write4ByteTxRx(port, 3, 116, 2100) == (COMM_SUCCESS, Fault.RANGE)
    assert SDK.write1ByteTxRx(port, 3, 98, 0) == (COMM_SUCCESS, 0)
    assert SDK.write4ByteTxRx(port, 3, 116, 2100) == (COMM_SUCCESS, 0)
