"""The servo bus: our driver beside Robotis' SDK, both with 20 emulated servos over a pty."""

import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO

import numpy as np
from dynamixel_sdk import (
    COMM_SUCCESS,
    GroupSyncRead,
    GroupSyncWrite,
    PacketHandler,
    PortHandler,
    port_handler,
)
from dynamixel_sdk.protocol2_packet_handler import Protocol2PacketHandler
from serial import Serial

from benchmarks.measure import Row, median_time, row, side_by_side
from inhand.hardware.dynamixel import registers, requests
from inhand.hardware.dynamixel.driver import ServoHand
from inhand.hardware.dynamixel.fast_read import reply_size
from inhand.hardware.dynamixel.poll_list import EAGER
from inhand.hardware.dynamixel.protocol import checksum, encode_status
from inhand.hardware.errors import BusError
from inhand.hardware.model.hand import load_hand
from inhand.hardware.records import Targets
from inhand.sim_backend.transmission_time import BITS

BAUD = 4_000_000
SILENT = 0.002
"""Limit for the additional time of a read with one silent servo [s]."""
SETTLED = 300
"""Number of reads, three seconds of ticks, in which the driver adapts its reply timeout."""


def measure() -> list[Row]:
    """Read-and-write cycles, reads with a silent servo, and the checksum alone."""
    hand = load_hand("dactyl24")
    rows = []
    # The SDK's timeout is twice this [ms]: a busy machine may need it.
    port_handler.LATENCY_TIMER = 500
    with line() as ours_line, line() as stock_line, line() as bare_line:
        servos = ServoHand(hand, ours_line.port, BAUD, patience=0.2, watchdog=0.0)
        servos.connect()
        # As in a tick: without torque, a read also looks for the turn of each servo.
        servos.set_torque(True)
        port = PortHandler(stock_line.port)
        port.openPort()
        targets = Targets(0.0, hand.rest)

        def cycle() -> None:
            servos.read()
            servos.write(targets)

        peer = _stock_cycle(port)
        walls = side_by_side(cycle, peer, rounds=20, calls=5)
        spent = side_by_side(cycle, peer, rounds=20, calls=5, clock=time.process_time)
        with _bare_cycle(bare_line.port) as bare:
            beside = side_by_side(cycle, bare, rounds=20, calls=5)
        servos.close()
        port.closePort()
    for what, (ours, stock), bar in (("", walls, 0.5), (", processor time", spent, 0.2)):
        name = f"cycle of 20 servos{what}"
        rows.append(row(name, 1e3 * ours, "ms", "dynamixel-sdk", 1e3 * stock, bar))
    ours, bare_time = beside
    what = "bare system calls"
    # Half of the SDK's time is out of reach where the kernel and the emulator take it: this row
    # then decides.
    rows.append(row("cycle of 20 servos", 1e3 * ours, "ms", what, 1e3 * bare_time, 1.25))
    rows.append(_paced())
    rows += _silent_servo()
    packet = encode_status(1, 0, bytes(range(10)))
    handler, numbers = Protocol2PacketHandler(), list(packet)
    ours_crc, stock_crc = side_by_side(
        lambda: checksum(packet[:-2]), lambda: handler.updateCRC(0, numbers, len(numbers) - 2)
    )
    name = "checksum of one reply"
    rows.append(row(name, 1e6 * ours_crc, "µs", "dynamixel-sdk", 1e6 * stock_crc, 1.0))
    return rows


@contextmanager
def _bare_cycle(port: str) -> Iterator[Callable[[], object]]:
    """The same bytes with system calls only: what kernel and emulator take."""
    address, length = registers.MEASURED
    ids, goal = range(1, 21), registers.GOAL_POSITION
    ask = requests.sync_read(address, length, ids, fast=True)
    tell = requests.sync_write(goal.address, goal.size, dict.fromkeys(ids, goal.pack(2048)))
    size = reply_size(len(ids), length)
    with Serial(port, BAUD, timeout=0) as opened:
        file = opened.fileno()

        def cycle() -> None:
            os.write(file, ask)
            left = size
            while left > 0:
                select.select((file,), (), ())
                left -= len(os.read(file, left))
            os.write(file, tell)

        yield cycle


def _paced() -> Row:
    """A cycle on a line with the transmission time of its baud rate, beside that time."""
    hand = load_hand("dactyl24")
    with line(str(BAUD)) as wires:
        servos = ServoHand(hand, wires.port, BAUD, patience=0.2)
        servos.connect()
        targets = Targets(0.0, hand.rest)

        def cycle() -> None:
            servos.read()
            servos.write(targets)

        taken = median_time(cycle, 100)
        servos.close()
    address, length = registers.MEASURED
    goal, ids = registers.GOAL_POSITION, range(1, 21)
    packets = (
        requests.sync_read(address, length, ids, fast=True),
        bytes(reply_size(len(ids), length)),
        requests.sync_write(goal.address, goal.size, dict.fromkeys(ids, goal.pack(2048))),
    )
    wire = BITS * sum(map(len, packets)) / BAUD
    return row("cycle at 4 Mbaud", 1e3 * taken, "ms", "time on the wire", 1e3 * wire, 1.25)


def _silent_servo() -> list[Row]:
    """Additional time of a read by one silent servo: the first such read, and later ones."""
    hand, rows = load_hand("dactyl24"), list[Row]()
    # The first one, which all others wait for in a fast read, and one in the middle.
    for id, servo in ((1, "the first servo"), (7, "the seventh servo")):
        whole, falls, apart = list[float](), list[float](), list[float]()
        with line() as wires:
            servos = ServoHand(hand, wires.port, BAUD)
            servos.connect()
            for _ in range(20):
                _read_until(servos, hand.n_actuators)
                whole += [_taken(servos.read) for _ in range(SETTLED)]
                wires.silence(id)
                falls.append(_taken(servos.read))
                apart += [_taken(servos.read) for _ in range(EAGER)]
                # No other servo's data are lost.
                _read_until(servos, hand.n_actuators - 1)
                wires.silence(0)
            servos.close()
        for what, times in (
            (f"the read in which {servo} falls silent", falls),
            ("a read after that", apart),
        ):
            cost = float(np.median(times) - np.median(whole))
            rows.append(row(f"cost of {what}", 1e3 * cost, "ms", "limit", 1e3 * SILENT, 1.0))
    return rows


def _read_until(servos: ServoHand, count: int) -> None:
    """Reads until `count` servos answer; on a busy machine some answers may be late."""
    answered = 0
    while answered != count:
        with suppress(BusError):
            answered = int(np.isfinite(servos.read().position).sum())


def _taken(function: Callable[[], object]) -> float:
    """Duration of a read [s]."""
    began = time.perf_counter()
    with suppress(BusError):
        function()
    return time.perf_counter() - began


class Line:
    """Emulated servos in another process.

    Attributes:
        port: device file.
    """

    def __init__(self, requests: IO[bytes], replies: IO[bytes]) -> None:
        self._requests, self._replies = requests, replies
        self.port = replies.readline().decode().strip()

    def silence(self, id: int) -> None:
        """Makes a servo silent from now on; 0 makes all answer again."""
        self._requests.write(f"{id}\n".encode())
        self._requests.flush()
        self._replies.readline()


@contextmanager
def line(*arguments: str) -> Iterator["Line"]:
    """Emulated servos in another process: in this one, a busy reader would delay them."""
    command = [sys.executable, "-m", "benchmarks.servos", *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield Line(process.stdin, process.stdout)
        process.stdin.close()


def _stock_cycle(port: PortHandler) -> Callable[[], object]:
    address, length = registers.MEASURED
    group = GroupSyncRead(port, PacketHandler(2.0), address, length)
    for id in range(1, 21):
        group.addParam(id)

    goal = registers.GOAL_POSITION
    goals = GroupSyncWrite(port, PacketHandler(2.0), goal.address, goal.size)

    def cycle() -> None:
        assert group.txRxPacket() == COMM_SUCCESS
        for id in range(1, 21):
            goals.addParam(id, list(goal.pack(2048)))
        assert goals.txPacket() == COMM_SUCCESS
        goals.clearParam()

    return cycle
