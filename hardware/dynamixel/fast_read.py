"""The reply of a fast sync read: one packet, to which each servo adds a block.

A header, then error byte, id, data and checksum of each servo in the requested order; no byte
stuffing. Each checksum covers everything before it, including earlier checksums. The CRC continues
from the checksum as received, so that damaged data invalidate only their own block.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from inhand.hardware.dynamixel.protocol import BROADCAST, HEADER, Instruction, checksum
from inhand.hardware.dynamixel.replies import Bytes, Mask, Replies

_BESIDE_DATA = 4
"""Error byte, id and checksum of a block [bytes]."""

_FAILURES_TO_FALL_BACK = 3
_FIRST_PAUSE, _LONGEST_PAUSE = 50, 1600
"""Number of reads without fast ones after these failed: the first and the largest."""


class FastChoice:
    """Decides whether to use fast sync reads: after failures they pause, then are tried again."""

    def __init__(self) -> None:
        self._failures, self._left, self._pause = 0, 0, _FIRST_PAUSE

    def wanted(self) -> bool:
        """Whether the next read shall be a fast one."""
        if self._left:
            self._left -= 1
            return False
        return True

    def note(self, worked: bool) -> None:
        """Records whether a fast read was complete."""
        if worked:
            self._failures, self._pause = 0, _FIRST_PAUSE
            return
        self._failures += 1
        if self._failures >= _FAILURES_TO_FALL_BACK:
            self._left = self._pause
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)


def reply_header(count: int, length: int) -> bytes:
    """Header of a reply of `count` servos with `length` bytes of data each."""
    return bulk_reply_header((length,) * count)


def bulk_reply_header(lengths: Sequence[int]) -> bytes:
    """Header of a reply of servos with these numbers of bytes of data."""
    size = 1 + sum(lengths) + _BESIDE_DATA * len(lengths)
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
        sent = struct.pack("<H", crc)
        pieces.append(body + sent)
        crc, start = checksum(sent, crc), b""
    return pieces


@dataclass(frozen=True, slots=True)
class _Form:
    """The expected layout of a reply.

    Attributes:
        header: first bytes.
        begin: checksum of the header.
        ids: of the servos, in order.
        block: length of one servo's block [bytes].
        all: mask with all servos, (n,).
        size: length of the reply [bytes].
    """

    header: bytes
    begin: int
    ids: bytes
    block: int
    all: Mask
    size: int

    def whole(self, reply: bytes) -> Bytes | None:
        """The blocks of an intact reply of all servos, (n, block); None if it is anything else."""
        header = len(self.header)
        if len(reply) != self.size or not reply.startswith(self.header):
            return None
        # The last checksum covers the whole reply.
        right = checksum(reply[:-2]) == int.from_bytes(reply[-2:], "little")
        if not right or reply[header + 1 :: self.block] != self.ids:
            return None
        return np.frombuffer(reply, np.uint8, offset=header).reshape(-1, self.block)

    def intact(self, blocks: bytes) -> list[bool]:
        """Whether each block fits its checksum and its servo's id."""
        crc, good, size = self.begin, list[bool](), self.block
        for id, start in zip(self.ids, range(0, len(blocks), size), strict=False):
            body, sent = blocks[start : start + size - 2], blocks[start + size - 2 : start + size]
            right = checksum(body, crc)
            good.append(right == int.from_bytes(sent, "little") and body[1] == id)
            # The next servo continues from the checksum on the wire, even where data are damaged.
            crc = checksum(sent, int.from_bytes(sent, "little"))
        return good


@cache
def _form(ids: tuple[int, ...], length: int) -> _Form:
    header = reply_header(len(ids), length)
    everyone = np.ones(len(ids), np.bool_)
    block, size = length + _BESIDE_DATA, reply_size(len(ids), length)
    return _Form(header, checksum(header), bytes(ids), block, everyone, size)


class FastReply:
    """Collects one reply as its bytes arrive.

    Args:
        ids: requested servos, in order.
        length: bytes of data of each.

    Attributes:
        complete: whether every byte of the reply came.
        broke_off_at: first servo without a block; the later ones wait for it and do not answer
            either. None if the reply is complete, or its header did not come.
    """

    def __init__(self, ids: tuple[int, ...], length: int) -> None:
        self.complete = False
        self.broke_off_at: int | None = None
        self._ids, self._length = ids, length
        self._form = _form(ids, length)
        self._buffer = b""
        self._start = -1

    def feed(self, data: bytes) -> bool:
        """Takes bytes as they come; returns whether the reply is complete."""
        self._buffer += data
        if self._start < 0:
            self._start = self._buffer.find(self._form.header)
        self.complete = self._start >= 0 and len(self._buffer) - self._start >= self._form.size
        return self.complete

    @property
    def empty(self) -> bool:
        """Whether nothing came at all."""
        return not self._buffer

    def replies(self) -> tuple[Replies, int]:
        """The intact blocks, and the number of bytes outside of them."""
        if (whole := self._form.whole(self._buffer)) is not None:
            return Replies(self._ids, self._form.all, whole[:, 0], whole[:, 2:-2], True), 0
        if self._start < 0:
            return Replies.none(self._ids, self._length), len(self._buffer)
        form, size, asked = self._form, self._form.block, len(self._ids)
        first = self._start + len(form.header)
        count = min((len(self._buffer) - first) // size, asked)
        self.broke_off_at = self._ids[count] if count < asked else None
        useful = self._buffer[first : first + count * size]
        good = form.intact(useful)
        wasted = len(self._buffer) - len(form.header) - size * sum(good)
        blocks = np.frombuffer(useful, np.uint8).reshape(count, size)
        if count == asked and all(good):
            return Replies(self._ids, form.all, blocks[:, 0], blocks[:, 2:-2], True), wasted
        replies = Replies.none(self._ids, self._length)
        rows = np.flatnonzero(good)
        replies.came[rows] = True
        replies.error[rows], replies.data[rows] = blocks[rows, 0], blocks[rows, 2:-2]
        return replies, wasted
