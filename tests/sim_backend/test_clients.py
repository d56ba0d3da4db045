"""One suite over the clients of the emulated servos: our bus, and Robotis' own SDK."""

import time
from collections.abc import Callable, Iterator, Sequence

import pytest
from dynamixel_sdk import (
    COMM_SUCCESS,
    GroupSyncRead,
    GroupSyncWrite,
    PacketHandler,
    PortHandler,
)

from inhand.hardware.dynamixel import registers, requests
from inhand.hardware.dynamixel.bus import Bus
from inhand.hardware.dynamixel.protocol import ALERT, Fault
from inhand.hardware.dynamixel.registers import Register
from inhand.hardware.model.hand import load_hand
from tests.sim_backend.wires import Wires, wires

HAND = load_hand("dactyl24")
BAUD = 1_000_000
IDS = range(1, 21)
GOAL, TORQUE = registers.GOAL_POSITION, registers.TORQUE_ENABLE


class Ours:
    """Our bus."""

    def __init__(self, port: str) -> None:
        self.bus = Bus(port, BAUD)
        self.bus.patience = 1.0
        self.bus.open()

    def close(self) -> None:
        self.bus.close()

    def ping(self, id: int) -> int | None:
        return self.bus.ping([id]).get(id, (None,))[0]

    def read(self, id: int, register: Register) -> int | None:
        reply = self.bus.ask(requests.read(id, register.address, register.size), [id], None).get(id)
        return None if reply is None else register.unpack(reply.data)

    def write(self, id: int, register: Register, value: int) -> int:
        reply = self.bus.write(id, register.address, register.pack(value))
        assert reply is not None
        return reply.error

    def read_all(self, register: Register, ids: Sequence[int], *, fast: bool) -> dict[int, int]:
        replies = self.bus.sync_read(
            register.address, register.size, ids, attempts=2 if fast else 1
        )
        return dict(replies.numbers(register))

    def write_all(self, register: Register, values: dict[int, int]) -> None:
        rows = {id: register.pack(value) for id, value in values.items()}
        self.bus.sync_write(register.address, register.size, rows)

    def reboot(self, id: int) -> bool:
        return self.bus.reboot(id) is not None


class Stock:
    """Robotis' SDK."""

    def __init__(self, port: str) -> None:
        self.port, self.sdk = PortHandler(port), PacketHandler(2.0)
        assert self.port.openPort() and self.port.setBaudRate(BAUD)

    def close(self) -> None:
        self.port.closePort()

    def ping(self, id: int) -> int | None:
        model, result, _ = self.sdk.ping(self.port, id)
        return int(model) if result == COMM_SUCCESS else None

    def read(self, id: int, register: Register) -> int | None:
        data, result, _ = self.sdk.readTxRx(self.port, id, register.address, register.size)
        return register.unpack(bytes(data)) if result == COMM_SUCCESS else None

    def write(self, id: int, register: Register, value: int) -> int:
        data = list(register.pack(value))
        result, error = self.sdk.writeTxRx(self.port, id, register.address, register.size, data)
        assert result == COMM_SUCCESS
        return int(error)

    def read_all(self, register: Register, ids: Sequence[int], *, fast: bool) -> dict[int, int]:
        group = GroupSyncRead(self.port, self.sdk, register.address, register.size)
        for id in ids:
            group.addParam(id)
        assert (group.fastSyncRead() if fast else group.txRxPacket()) == COMM_SUCCESS
        return {id: group.getData(id, register.address, register.size) for id in ids}

    def write_all(self, register: Register, values: dict[int, int]) -> None:
        group = GroupSyncWrite(self.port, self.sdk, register.address, register.size)
        for id, value in values.items():
            group.addParam(id, list(register.pack(value)))
        assert group.txPacket() == COMM_SUCCESS

    def reboot(self, id: int) -> bool:
        return bool(self.sdk.reboot(self.port, id)[0] == COMM_SUCCESS)


Client = Ours | Stock


@pytest.fixture(params=[None, BAUD], ids=["at once", "paced"])
def line(request: pytest.FixtureRequest) -> Iterator[Wires]:
    with wires(HAND, request.param) as line:
        yield line


@pytest.fixture(params=[Ours, Stock])
def client(
    request: pytest.FixtureRequest, line: Wires, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Client]:
    # The SDK waits twice as long [ms] for each reply: others use this machine too.
    monkeypatch.setattr("dynamixel_sdk.port_handler.LATENCY_TIMER", 500)
    make: Callable[[str], Client] = request.param
    client = make(line.port)
    yield client
    client.close()


def test_ping_finds_the_servos(client: Client) -> None:
    for actuator in HAND.actuators[:4]:
        assert client.ping(actuator.servo.id) == registers.MODELS[actuator.servo.model].number
    assert client.ping(200) is None


def test_a_written_register_reads_back(client: Client) -> None:
    assert client.write(3, GOAL, 2500) == 0
    assert client.read(3, GOAL) == 2500
    assert client.read(4, GOAL) == 0


@pytest.mark.parametrize("fast", [False, True])
def test_sync_reads_and_writes_of_all_servos(client: Client, fast: bool) -> None:
    goals = {id: 2000 + id for id in IDS}
    client.write_all(GOAL, goals)
    assert client.read_all(GOAL, IDS, fast=fast) == goals


def test_invalid_accesses_are_refused(client: Client, line: Wires) -> None:
    assert client.write(3, registers.PRESENT_POSITION, 5) == Fault.ACCESS
    assert client.write(3, registers.MODEL_NUMBER, 5) == Fault.ACCESS
    assert client.write(3, TORQUE, 2) == Fault.RANGE
    assert client.write(3, registers.GOAL_CURRENT, 5000) == Fault.LIMIT
    assert client.write(3, TORQUE, 1) == 0
    # EEPROM is locked meanwhile.
    assert client.write(3, registers.RETURN_DELAY, 0) == Fault.ACCESS
    assert client.write(3, TORQUE, 0) == client.write(3, registers.RETURN_DELAY, 0) == 0
    line.bus.servos[4].set(registers.HARDWARE_ERROR, registers.OVERLOADED)
    assert client.read(4, registers.HARDWARE_ERROR) == registers.OVERLOADED
    assert client.write(4, TORQUE, 1) == ALERT | Fault.RESULT
    assert client.reboot(4) and client.write(4, TORQUE, 1) == 0


def test_the_watchdog(client: Client, line: Wires) -> None:
    assert client.write(3, TORQUE, 1) == 0
    assert client.write(3, registers.BUS_WATCHDOG, 5) == 0
    until = time.monotonic() + 120
    while not line.bus.servos[3].stopped:
        assert time.monotonic() < until
        time.sleep(0.01)
    assert client.write(3, GOAL, 2100) == Fault.RANGE
    assert client.write(3, registers.BUS_WATCHDOG, 0) == 0
    assert client.write(3, GOAL, 2100) == 0
