"""Dynamixel Protocol 2.0 as bytes: packets, their checksum, and a parser that finds its feet again.

Robotis e-manual, "DYNAMIXEL Protocol 2.0".
"""

import struct
from dataclasses import dataclass
from enum import IntEnum
from functools import cache

import numpy as np
from numpy.typing import NDArray

HEADER = b"\xff\xff\xfd\x00"
BROADCAST = 0xFE
ALERT = 0x80
"""Bit of a status packet's error byte: the servo's hardware error register is not zero."""

_MARK, _STUFFED = b"\xff\xff\xfd", b"\xff\xff\xfd\xfd"
_OVERHEAD = 7
"""Header, id and length [bytes]."""
_LONGEST = 1024
"""A longer packet than this is no packet but noise in the length field [bytes]."""


class Instruction(IntEnum):
    """What a packet asks for."""

    PING = 0x01
    READ = 0x02
    WRITE = 0x03
    REBOOT = 0x08
    CLEAR = 0x10
    STATUS = 0x55
    SYNC_READ = 0x82
    SYNC_WRITE = 0x83
    FAST_SYNC_READ = 0x8A
    BULK_READ = 0x92
    BULK_WRITE = 0x93


class Fault(IntEnum):
    """Why a servo refused, in the low seven bits of a status packet's error byte."""

    RESULT = 1
    INSTRUCTION = 2
    CHECKSUM = 3
    RANGE = 4
    LENGTH = 5
    LIMIT = 6
    ACCESS = 7


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet.

    Attributes:
        id: servo it is for, or from.
        instruction: see `Instruction`.
        parameters: without stuffing; of a status packet, the error byte comes first.
    """

    id: int
    instruction: int
    parameters: bytes

    @property
    def error(self) -> int:
        """The error byte of a status packet."""
        return self.parameters[0]

    @property
    def data(self) -> bytes:
        """What a status packet carries."""
        return self.parameters[1:]


def _table() -> tuple[int, ...]:
    rows = []
    for value in range(256):
        crc = value << 8
        for _ in range(8):
            crc = (crc << 1) ^ 0x8005 if crc & 0x8000 else crc << 1
        rows.append(crc & 0xFFFF)
    return tuple(rows)


_TABLE = _table()
_LONG = 100
"""From so many bytes on, numpy is faster than a loop."""


def checksum(data: bytes, crc: int = 0) -> int:
    """CRC-16 of polynomial 0x8005, most significant bit first; `crc` is of what came before."""
    if len(data) >= _LONG:
        row = np.frombuffer(data, np.uint8)[np.newaxis]
        return int(checksums(row, np.array([crc], np.uint16))[0])
    table = _TABLE
    for byte in data:
        crc = (crc << 8 & 0xFF00) ^ table[(crc >> 8) ^ byte]
    return crc


def checksums(rows: NDArray[np.uint8], crc: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """The checksum of each row: what each byte adds depends on nothing but where it stands.

    Args:
        rows: data, (n, length) with at least two bytes.
        crc: of what came before each row, (n,).
    """
    parts, offsets = _contributions(rows.shape[1])
    index = offsets + rows
    # What came before acts like two more bytes on top of the first two.
    index[:, 0] ^= crc >> 8
    index[:, 1] ^= crc & 0xFF
    sums: NDArray[np.uint16] = np.bitwise_xor.reduce(parts[index], axis=1)
    return sums


@cache
def _contributions(length: int) -> tuple[NDArray[np.uint16], NDArray[np.intp]]:
    """What a byte adds at each place: a flat table, and where each place begins in it."""
    table = np.array(_TABLE, np.uint16)
    places = [table]
    for _ in range(length - 1):
        last = places[-1]
        places.append((last << 8) ^ table[last >> 8])
    return np.concatenate(places[::-1]), 256 * np.arange(length)


def encode(id: int, instruction: int, parameters: bytes = b"") -> bytes:
    """A packet as it goes over the wire."""
    body = (bytes((instruction,)) + parameters).replace(_MARK, _STUFFED)
    packet = HEADER + struct.pack("<BH", id, len(body) + 2) + body
    return packet + struct.pack("<H", checksum(packet))


def encode_status(id: int, error: int, data: bytes = b"") -> bytes:
    """A servo's reply as it goes over the wire."""
    return encode(id, Instruction.STATUS, bytes((error,)) + data)


class Parser:
    """Turns a stream of bytes into packets; what is none is passed over and counted.

    Attributes:
        discarded: bytes that belonged to no intact packet.
    """

    def __init__(self) -> None:
        self.discarded = 0
        self._buffer = bytearray()

    def clear(self) -> None:
        """Forgets a packet that is incomplete."""
        self.discarded += len(self._buffer)
        self._buffer.clear()

    def feed(self, data: bytes) -> list[Packet]:
        """Takes bytes as they come; returns the packets that they complete."""
        buffer = self._buffer
        buffer += data
        packets: list[Packet] = []
        while True:
            start = buffer.find(HEADER)
            if start < 0:
                # The end may be the beginning of a header.
                self._discard(max(0, len(buffer) - len(HEADER) + 1))
                return packets
            self._discard(start)
            if len(buffer) < _OVERHEAD:
                return packets
            id, length = struct.unpack_from("<BH", buffer, len(HEADER))
            if not 3 <= length <= _LONGEST:
                self._discard(1)
                continue
            end = _OVERHEAD + length
            if len(buffer) < end:
                return packets
            (crc,) = struct.unpack_from("<H", buffer, end - 2)
            if crc != checksum(bytes(buffer[: end - 2])):
                # The header may have been noise, with a true one behind it.
                self._discard(1)
                continue
            body = bytes(buffer[_OVERHEAD : end - 2]).replace(_STUFFED, _MARK)
            packets.append(Packet(id, body[0], body[1:]))
            del buffer[:end]

    def _discard(self, count: int) -> None:
        self.discarded += count
        del self._buffer[:count]
