"""Request packets to servos.

Robotis e-manual, "DYNAMIXEL Protocol 2.0", Instruction Details.
"""

import struct
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from inhand.hardware.dynamixel.protocol import BROADCAST, Instruction, encode
from inhand.hardware.dynamixel.registers import Register
from inhand.hardware.errors import BusError


def ping(id: int = BROADCAST) -> bytes:
    """Asks one servo, or all on the line, for model and firmware."""
    return encode(id, Instruction.PING)


def read(id: int, address: int, length: int) -> bytes:
    """Reads registers of one servo."""
    return encode(id, Instruction.READ, struct.pack("<HH", address, length))


def write(id: int, address: int, data: bytes) -> bytes:
    """Writes registers of one servo."""
    return encode(id, Instruction.WRITE, struct.pack("<H", address) + data)


def reboot(id: int) -> bytes:
    """Reboots a servo, which clears its torque and its hardware error."""
    return encode(id, Instruction.REBOOT)


def factory_reset(id: int) -> bytes:
    """Gives a servo its factory settings, except id and baud rate, and reboots it."""
    return encode(id, Instruction.FACTORY_RESET, b"\x02")


def sync_read(address: int, length: int, ids: Sequence[int], *, fast: bool = False) -> bytes:
    """Reads the same registers of several servos; `fast`: one reply for all, see `fast_read`."""
    instruction = Instruction.FAST_SYNC_READ if fast else Instruction.SYNC_READ
    return encode(BROADCAST, instruction, struct.pack("<HH", address, length) + bytes(ids))


def sync_write(address: int, length: int, rows: Mapping[int, bytes]) -> bytes:
    """Writes the same registers of several servos, which do not reply.

    Args:
        address: first register.
        length: bytes for each servo.
        rows: bytes of each servo, by id.

    Raises:
        BusError: a row has another length.
    """
    parts = [struct.pack("<HH", address, length)]
    for id, row in rows.items():
        if len(row) != length:
            raise BusError(f"sync write: servo {id} is given {len(row)} bytes instead of {length}")
        parts += bytes((id,)), row
    return encode(BROADCAST, Instruction.SYNC_WRITE, b"".join(parts))


class SyncWrite:
    """Writes of the same four-byte register of the same servos, prepared once.

    Args:
        register: register to write.
        ids: servos, in the order of the values.
    """

    def __init__(self, register: Register, ids: Sequence[int]) -> None:
        assert register.size == _ROW.itemsize - 1
        self._rows = np.zeros(len(ids), _ROW)
        self._rows["id"] = ids
        self._head = struct.pack("<HH", register.address, register.size)

    def packet(self, values: NDArray[np.int64]) -> bytes:
        """The request that writes these values, (n,)."""
        self._rows["value"] = values
        return encode(BROADCAST, Instruction.SYNC_WRITE, self._head + self._rows.tobytes())


_ROW = np.dtype([("id", "u1"), ("value", "<i4")])
