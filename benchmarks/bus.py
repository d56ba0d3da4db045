"""The servo bus: our driver beside the stock SDK, both reading 20 emulated servos over a pty."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dynamixel_sdk import COMM_SUCCESS, GroupSyncRead, PacketHandler, PortHandler
from dynamixel_sdk.protocol2_packet_handler import Protocol2PacketHandler

from benchmarks.measure import Row, row, side_by_side
from hardware import registers
from hardware.driver import ServoHand
from hardware.hand import load_hand
from hardware.protocol import checksum, encode_status

BAUD = 4_000_000


def measure() -> list[Row]:
    """Reads of current, velocity and position, and the checksum alone."""
    hand = load_hand("dactyl24")
    rows = []
    with line() as ours_port, line() as stock_port:
        servos = ServoHand(hand, ours_port, BAUD, patience=0.2)
        servos.connect()
        port = PortHandler(stock_port)
        port.openPort()
        ours, stock = side_by_side(servos.read, _stock_read(port), rounds=20, calls=5)
        servos.close()
        port.closePort()
    rows.append(row("read 20 servos", 1e3 * ours, "ms", "dynamixel-sdk", 1e3 * stock, 1.0))
    packet = encode_status(1, 0, bytes(range(10)))
    handler, numbers = Protocol2PacketHandler(), list(packet)
    ours_crc, stock_crc = side_by_side(
        lambda: checksum(packet[:-2]), lambda: handler.updateCRC(0, numbers, len(numbers) - 2)
    )
    name = "checksum of one reply"
    rows.append(row(name, 1e6 * ours_crc, "µs", "dynamixel-sdk", 1e6 * stock_crc, 1.0))
    return rows


@contextmanager
def line() -> Iterator[str]:
    """Servos in a process of their own, as a busy reader would starve them in this one."""
    command = [sys.executable, "-m", "benchmarks.servos"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield process.stdout.readline().decode().strip()
        process.stdin.close()


def _stock_read(port: PortHandler) -> Callable[[], object]:
    address, length = registers.MEASURED
    group = GroupSyncRead(port, PacketHandler(2.0), address, length)
    for id in range(1, 21):
        group.addParam(id)

    def read() -> None:
        assert group.txRxPacket() == COMM_SUCCESS

    return read
