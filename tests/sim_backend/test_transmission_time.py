"""The paced line: transmission times of bytes, and no answers at another baud rate."""

import re

import numpy as np
import pytest
from dynamixel_sdk import COMM_RX_TIMEOUT, COMM_SUCCESS, PacketHandler, PortHandler

from inhand.hardware.dynamixel import maintenance, registers, requests
from inhand.hardware.dynamixel.driver import ServoHand
from inhand.hardware.errors import BusError
from inhand.hardware.model.hand import load_hand
from inhand.sim_backend.emulator import ServoBus
from inhand.sim_backend.transmission_time import CHUNK, PacedLine
from tests.sim_backend.wires import wires

HAND = load_hand("dactyl24")
IDS = range(1, 21)


def servos(baud: int, delay: int = 0) -> ServoBus:
    zeros = np.zeros(HAND.n_actuators)
    bus = ServoBus(HAND, lambda: (HAND.rest, zeros, zeros))
    for servo in bus.servos.values():
        servo.set(registers.BAUD_RATE, registers.BAUD_RATES[baud])
        servo.set(registers.RETURN_DELAY, delay)
    return bus


@pytest.mark.parametrize("baud", [57600, 1_000_000, 4_000_000])
@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("delay", [0, 250])
def test_an_answer_leaves_at_the_pace_of_the_line(baud: int, fast: bool, delay: int) -> None:
    bus, request = servos(baud, delay), requests.sync_read(126, 10, IDS, fast=fast)
    answer = servos(baud).receive(request)
    line = PacedLine(bus, lambda: baud)
    line.receive(request, 100.0)
    byte = 10 / baud
    begin = 100.0 + byte * len(request) + 2e-6 * delay * (1 if fast else 20)
    end = begin + byte * len(answer)
    assert line.due(begin) == b"" and line.next == pytest.approx(begin + byte * CHUNK)
    half = line.due((begin + end) / 2)
    assert len(answer) / 2 - CHUNK <= len(half) <= len(answer) / 2
    assert half + line.due(end + 1e-9) == answer
    assert line.next == float("inf")


def test_an_answer_waits_until_the_line_is_free() -> None:
    bus, request = servos(1_000_000), requests.ping(1)
    line = PacedLine(bus, lambda: 1_000_000)
    line.receive(requests.sync_write(116, 4, {}), 0.0)
    line.receive(request, 0.0)
    silence = 1e-5 * (len(requests.sync_write(116, 4, {})) + len(request))
    assert line.due(silence) == b""
    assert len(line.due(silence + 1e-5 * 14 + 1e-9)) == 14


def test_servos_with_another_baud_rate_do_not_answer() -> None:
    bus = servos(1_000_000)
    bus.servos[7].set(registers.BAUD_RATE, registers.BAUD_RATES[57600])
    assert bus.receive(requests.ping(7), 1_000_000) == b""
    assert bus.receive(requests.ping(7), 57600) != b""
    assert bus.receive(requests.ping(3), 57600) == b""
    packets = bus.packets
    assert bus.receive(requests.ping(3), 9600) == b"" and bus.packets == packets
    assert set(bus.servos) == set(IDS)


def test_the_stock_sdk_must_use_the_servos_baud_rate() -> None:
    with wires(HAND, 57600) as line:
        port, sdk = PortHandler(line.port), PacketHandler(2.0)
        for baud, expected in ((1_000_000, COMM_RX_TIMEOUT), (57600, COMM_SUCCESS)):
            assert port.openPort() and port.setBaudRate(baud)
            for _ in range(20):
                _, result, _ = sdk.ping(port, 3)
                # A busy machine may be late for the SDK's patience of 34 ms.
                if result == expected:
                    break
            assert result == expected
            port.closePort()


def test_a_wrong_baud_rate_is_named_and_the_scan_finds_the_right_one() -> None:
    with wires(HAND, 1_000_000) as line:
        servos = ServoHand(HAND, line.port, 4_000_000)
        with pytest.raises(BusError, match=r"no answer from servo 1 .*cable, id and baud"):
            servos.connect()
        found = list(maintenance.scan(line.port, (4_000_000, 1_000_000)))
        assert [(baud, id) for baud, id, *_ in found] == [(1_000_000, id) for id in IDS]
        servos = ServoHand(HAND, line.port, 1_000_000, patience=0.2)
        servos.connect()
        assert np.isfinite(servos.read().position).all()
        servos.bus.write(7, registers.BAUD_RATE.address, bytes([registers.BAUD_RATES[57600]]))
        for _ in range(3):
            assert np.isnan(servos.read().position[6])
        assert re.search(r"servo 7 \(MFJ3\)", servos.problem)
        servos.close()
