"""Requests beside those of the stock SDK, for contents that need no byte stuffing.

Its `txPacket` throws away its own stuffing, so that it is no measure where stuffing is due
(test_protocol.py compares that part by itself).
"""

import numpy as np
import pytest
from dynamixel_sdk import (
    GroupSyncRead,
    GroupSyncWrite,
    PacketHandler,
)
from hypothesis import given
from hypothesis import strategies as st

from inhand.hardware.dynamixel import requests
from inhand.hardware.dynamixel.registers import GOAL_POSITION
from inhand.hardware.errors import BusError

SDK = PacketHandler(2.0)
ids = st.integers(0, 252)
some_ids = st.lists(ids, min_size=1, max_size=20, unique=True)
# Free of 0xFD, without which nothing is stuffed.
addresses = st.integers(0, 0xFC)
lengths = st.sampled_from([1, 2, 4])


class Tap:
    """A port of the stock SDK that keeps what is written and never answers."""

    def __init__(self) -> None:
        self.sent, self.is_using = b"", False

    def writePort(self, packet: list[int]) -> int:
        # Otherwise it would wait for the answer to a read before it sends anything else.
        self.is_using = False
        self.sent = bytes(packet)
        return len(packet)

    def clearPort(self) -> None:
        pass

    def setPacketTimeout(self, length: int) -> None:
        pass

    def isPacketTimeout(self) -> bool:
        return True

    def readPort(self, length: int) -> list[int]:
        return []


@given(ids, addresses, lengths, st.integers(0, 0xFC))
def test_requests_for_one_servo(id: int, address: int, length: int, value: int) -> None:
    tap = Tap()
    SDK.ping(tap, id)
    assert tap.sent == requests.ping(id)
    SDK.reboot(tap, id)
    assert tap.sent == requests.reboot(id)
    SDK.readTx(tap, id, address, length)
    assert tap.sent == requests.read(id, address, length)
    data = [value] * length
    SDK.writeTxOnly(tap, id, address, length, data)
    assert tap.sent == requests.write(id, address, bytes(data))


@given(some_ids, addresses, lengths, st.integers(0, 0xFC))
def test_requests_for_several_servos(
    servos: list[int], address: int, length: int, value: int
) -> None:
    tap, data = Tap(), [value] * length
    reading = GroupSyncRead(tap, SDK, address, length)
    writing = GroupSyncWrite(tap, SDK, address, length)
    for id in servos:
        reading.addParam(id)
        writing.addParam(id, data)
    reading.txPacket()
    assert tap.sent == requests.sync_read(address, length, servos)
    reading.fastSyncReadTxPacket()
    assert tap.sent == requests.sync_read(address, length, servos, fast=True)
    writing.txPacket()
    assert tap.sent == requests.sync_write(address, length, dict.fromkeys(servos, bytes(data)))


@given(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=20))
def test_a_prepared_write_equals_any_other(values: list[int]) -> None:
    goal, ids = GOAL_POSITION, range(1, 1 + len(values))
    rows = {id: goal.pack(value) for id, value in zip(ids, values, strict=True)}
    ready = requests.SyncWrite(goal, ids)
    for _ in range(2):
        assert ready.packet(np.array(values)) == requests.sync_write(goal.address, 4, rows)


def test_rows_of_a_sync_write_must_have_equal_lengths() -> None:
    with pytest.raises(BusError, match="servo 2 is given 3 bytes instead of 4"):
        requests.sync_write(116, 4, {1: b"abcd", 2: b"abc"})
