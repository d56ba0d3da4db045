"""The emulated servos with Robotis' SDK over a pty."""

from collections.abc import Iterator

import pytest
from dynamixel_sdk import (
    COMM_SUCCESS,
    GroupSyncRead,
    GroupSyncWrite,
    PacketHandler,
    PortHandler,
)

from inhand.hardware.dynamixel import registers
from inhand.hardware.model.hand import load_hand
from tests.sim_backend.wires import Wires, wires

HAND = load_hand("dactyl24")
SDK = PacketHandler(2.0)


@pytest.fixture
def line() -> Iterator[Wires]:
    with wires(HAND) as line:
        yield line


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


def test_fast_synchronous_read(port: PortHandler, line: Wires) -> None:
    present = GroupSyncRead(port, SDK, 132, 4)
    for id in range(1, 21):
        present.addParam(id)
    assert present.fastSyncRead() == COMM_SUCCESS
    line.bus._refresh()
    for id in range(1, 21):
        assert present.getData(id, 132, 4) == line.bus.servos[id].get(registers.PRESENT_POSITION)
