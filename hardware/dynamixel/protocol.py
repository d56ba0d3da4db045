"""Dynamixel Protocol 2.0: packets, checksum, and a parser that resynchronises after noise.

Robotis e-manual, "DYNAMIXEL Protocol 2.0".
"""

import struct
from dataclasses import dataclass
from enum import IntEnum

from fastcrc import crc16

HEADER = b"\xff\xff\xfd\x00"
BROADCAST = 0xFE
ALERT = 0x80
"""Bit of a status packet's error byte: the servo's hardware error register is not zero."""

_MARK, _STUFFED = b"\xff\xff\xfd", b"\xff\xff\xfd\xfd"
_OVERHEAD = 7
"""Header, id and length [bytes]."""
_LONGEST = 1024
"""Longest packet [bytes]; a larger value in the length field is noise."""


class Instruction(IntEnum):
    """Instruction of a packet."""

    PING = 0x01
    READ = 0x02
    WRITE = 0x03
    REG_WRITE = 0x04
    ACTION = 0x05
    FACTORY_RESET = 0x06
    REBOOT = 0x08
    CLEAR = 0x10
    BACKUP = 0x20
    STATUS = 0x55
    SYNC_READ = 0x82
    SYNC_WRITE = 0x83
    FAST_SYNC_READ = 0x8A
    BULK_READ = 0x92
    BULK_WRITE = 0x93
    FAST_BULK_READ = 0x9A


class Fault(IntEnum):
    """Why a servo refused a request: low seven bits of a status packet's error byte."""

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
        """The data of a status packet, without the error byte."""
        return self.parameters[1:]


def checksum(data: bytes, crc: int = 0) -> int:
    """CRC-16 of polynomial 0x8005, most significant bit first; `crc` is of the bytes before."""
    return crc16.umts(data, crc)


def encode(id: int, instruction: int, parameters: bytes = b"") -> bytes:
    """A packet as it goes over the wire."""
    body = (bytes((instruction,)) + parameters).replace(_MARK, _STUFFED)
    packet = HEADER + struct.pack("<BH", id, len(body) + 2) + body
    return packet + struct.pack("<H", checksum(packet))


def encode_status(id: int, error: int, data: bytes = b"") -> bytes:
    """A servo's reply as it goes over the wire."""
    return encode(id, Instruction.STATUS, bytes((error,)) + data)


class Parser:
    """Turns a stream of bytes into packets; other bytes are skipped and counted.

    Attributes:
        discarded: bytes that belonged to no intact packet.
    """

    def __init__(self) -> None:
        self.discarded = 0
        self._buffer = bytearray()

    def clear(self) -> None:
        """Discards an incomplete packet."""
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
                # The last bytes may be the beginning of a header.
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
                # The header may be noise, with a real header after it.
                self._discard(1)
                continue
            body = bytes(buffer[_OVERHEAD : end - 2]).replace(_STUFFED, _MARK)
            packets.append(Packet(id, body[0], body[1:]))
            del buffer[:end]

    def _discard(self, count: int) -> None:
        self.discarded += count
        del self._buffer[:count]
