"""The one reply that all servos of a fast sync read write together, block by block.

A header, then error byte, id, data and checksum of each servo in the order that was asked for; no
byte stuffing. Each checksum covers everything before it, earlier checksums included. What the next
one begins with follows from the checksum before it alone: damaged data spoil no other block.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from hardware.protocol import BROADCAST, HEADER, Instruction, checksum, checksums
from hardware.replies import Replies

_BESIDE_DATA = 4
"""Error byte, id and checksum of a block [bytes]."""

_FAILURES_TO_FALL_BACK = 3
_FIRST_PAUSE, _LONGEST_PAUSE = 50, 1600
"""Reads without fast ones after they failed, at first and at most."""


class FastChoice:
    """Whether to ask for fast replies: not while they fail, and again once the bus is better."""

    def __init__(self) -> None:
        self._failures, self._left, self._pause = 0, 0, _FIRST_PAUSE

    def wanted(self) -> bool:
        """Whether the next read is to be a fast one."""
        if self._left:
            self._left -= 1
            return False
        return True

    def note(self, worked: bool) -> None:
        """Takes what came of a fast read."""
        if worked:
            self._failures, self._pause = 0, _FIRST_PAUSE
            return
        self._failures += 1
        if self._failures >= _FAILURES_TO_FALL_BACK:
            self._left = self._pause
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)


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


@dataclass(frozen=True, slots=True)
class _Form:
    """What is known of a reply before it comes."""

    header: bytes
    size: int
    ids: NDArray[np.uint8]
    begin: int


@cache
def _form(ids: tuple[int, ...], length: int) -> _Form:
    header, size = reply_header(len(ids), length), reply_size(len(ids), length)
    return _Form(header, size, np.array(ids, np.uint8), checksum(header))


class FastReply:
    """Gathers one reply as its bytes arrive.

    Args:
        ids: servos asked, in order.
        length: bytes of data of each.

    Attributes:
        complete: whether every byte of the reply came.
        broke_off_at: servo that the reply has nothing more of, nor of those behind it, as they wait
            for it; None if it is complete, or did not even begin.
    """

    def __init__(self, ids: tuple[int, ...], length: int) -> None:
        self.complete = False
        self.broke_off_at: int | None = None
        self._ids, self._length = ids, length
        self._form = _form(ids, length)
        self._buffer = b""
        self._start = -1

    def feed(self, data: bytes) -> bool:
        """Takes bytes as they come; whether that is all."""
        self._buffer += data
        if self._start < 0:
            self._start = self._buffer.find(self._form.header)
        self.complete = self._start >= 0 and len(self._buffer) - self._start >= self._form.size
        return self.complete

    def replies(self) -> tuple[Replies, int]:
        """Blocks that came intact, and how many bytes were of no use."""
        if self._start < 0:
            return Replies.none(self._ids, self._length), len(self._buffer)
        form, size, asked = self._form, self._length + _BESIDE_DATA, len(self._ids)
        first = self._start + len(form.header)
        count = min((len(self._buffer) - first) // size, asked)
        self.broke_off_at = self._ids[count] if count < asked else None
        blocks = np.frombuffer(self._buffer, np.uint8, count * size, first).reshape(count, size)
        # What each checksum begins with: the header's for the first block, and for each other one
        # what the checksum before it leaves once its own two bytes are counted in.
        low, high = blocks[:, -2], blocks[:, -1]
        begin = np.empty(count, np.uint16)
        begin[:1] = form.begin
        begin[1:] = _AFTER[low[:-1] ^ high[:-1]]
        intact = checksums(blocks[:, :-2], begin) == low + (high.astype(np.uint16) << 8)
        intact &= blocks[:, 1] == form.ids[:count]
        good = int(np.count_nonzero(intact))
        wasted = len(self._buffer) - len(form.header) - size * good
        if good == asked:
            return Replies(self._ids, intact, blocks[:, 0], blocks[:, 2:-2]), wasted
        replies = Replies.none(self._ids, self._length)
        rows = np.flatnonzero(intact)
        replies.came[rows] = True
        replies.error[rows], replies.data[rows] = blocks[rows, 0], blocks[rows, 2:-2]
        return replies, wasted


_AFTER = np.array([checksum(bytes((x, x))) for x in range(256)], np.uint16)
"""Checksum behind a checksum, by the exclusive or of its bytes: each is one with the state."""
