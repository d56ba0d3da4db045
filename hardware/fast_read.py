"""The one reply that all servos of a fast sync read write together, block by block.

A header, then error byte, id, data and checksum of each servo in the order that was asked for; no
byte stuffing. Each checksum covers everything before it, earlier checksums included. What the next
one begins with follows from the checksum before it alone: damaged data spoil no other block.
"""

import struct
from collections.abc import Sequence

from hardware.protocol import BROADCAST, HEADER, Instruction, Packet, checksum

_BESIDE_DATA = 4
"""Error byte, id and checksum of a block [bytes]."""


def reply_header(count: int, length: int) -> bytes:
    """How a reply of `count` servos with `length` bytes of data each begins."""
    size = 1 + count * (length + _BESIDE_DATA)
    return HEADER + struct.pack("<BHB", BROADCAST, size, Instruction.STATUS)


def reply_size(count: int, length: int) -> int:
    """Length of a reply [bytes]."""
    return len(HEADER) + 4 + count * (length + _BESIDE_DATA)


def encode_reply(header: bytes, blocks: Sequence[tuple[int, int, bytes]]) -> list[bytes]:
    """Pieces of a reply, one a servo, from (id, error, data) of each; the first has the header."""
    pieces, crc, start = [], 0, header
    for id, error, data in blocks:
        body = start + bytes((error, id)) + data
        crc = checksum(body, crc)
        piece = body + struct.pack("<H", crc)
        crc, start = checksum(piece[-2:], crc), b""
        pieces.append(piece)
    return pieces


class FastReply:
    """Gathers the blocks of one reply as its bytes arrive.

    Args:
        ids: servos asked, in order.
        length: bytes of data of each.

    Attributes:
        replies: blocks that came intact, as status packets by servo id.
        complete: whether every byte of the reply came.
    """

    def __init__(self, ids: Sequence[int], length: int) -> None:
        self.replies: dict[int, Packet] = {}
        self.complete = False
        self._ids, self._size = ids, length + _BESIDE_DATA
        self._header = reply_header(len(ids), length)
        self._buffer = bytearray()
        self._start, self._done, self._crc = -1, 0, checksum(self._header)

    @property
    def discarded(self) -> int:
        """Bytes that came and were of no use."""
        useful = len(self.replies) * self._size + len(self._header) * (self._start >= 0)
        return len(self._buffer) - useful

    def feed(self, data: bytes) -> None:
        """Takes bytes as they come."""
        buffer = self._buffer
        buffer += data
        if self._start < 0:
            self._start = buffer.find(self._header)
            if self._start < 0:
                return
        first = self._start + len(self._header)
        while self._done < len(self._ids):
            at = first + self._done * self._size
            end = at + self._size
            if len(buffer) < end:
                return
            self._take(bytes(buffer[at:end]))
            self._done += 1
        self.complete = True

    def _take(self, block: bytes) -> None:
        id = self._ids[self._done]
        (crc,) = struct.unpack("<H", block[-2:])
        if block[1] == id and checksum(block[:-2], self._crc) == crc:
            self.replies[id] = Packet(id, Instruction.STATUS, block[:1] + block[2:-2])
        self._crc = checksum(block[-2:], crc)
