"""The latest records in memory that outlives the recorder's process.

The daemon makes the memory and lends it to each recorder that it starts. A recorder that was killed
leaves its records there, and the next one writes them to a file.
"""

import mmap
import os
import struct

SIZE = 32 << 20
"""Size of the memory [bytes]; pages that are never used take none."""

_HEADER = 16
"""Size of the header: two numbers of 8 bytes."""
_OLDEST, _END = 0, 1
_LENGTH = struct.Struct("<I")
_ROOM = SIZE - _HEADER


def make_memory() -> int:
    """Makes the memory; returns its file descriptor."""
    descriptor = os.memfd_create("inhand-records", os.MFD_CLOEXEC)
    os.ftruncate(descriptor, SIZE)
    return descriptor


class RecordRing:
    """Records in memory; the oldest are overwritten.

    The header has the positions of the oldest record and of the end, counted from the first byte
    ever written. It is changed in an order in which a process may be killed between any two steps.
    """

    def __init__(self, memory: mmap.mmap) -> None:
        self._memory = memory
        # A typed view writes a number at one go; `struct` clears its bytes first, so that a process
        # that is killed in between would leave another number.
        self._header = memoryview(memory)[:_HEADER].cast("Q")

    @classmethod
    def of(cls, descriptor: int) -> "RecordRing":
        """The ring in the memory that `make_memory` made."""
        return cls(mmap.mmap(descriptor, SIZE))

    def append(self, record: bytes) -> None:
        """Adds a record; one that is larger than the memory is left out."""
        data = _LENGTH.pack(len(record)) + record
        if len(data) > _ROOM:
            return
        oldest, end = self._header
        while end + len(data) - oldest > _ROOM:
            oldest += _LENGTH.size + self._length(oldest)
        self._header[_OLDEST] = oldest
        at = end % _ROOM
        first = data[: _ROOM - at]
        self._memory[_HEADER + at : _HEADER + at + len(first)] = first
        rest = data[len(first) :]
        self._memory[_HEADER : _HEADER + len(rest)] = rest
        self._header[_END] = end + len(data)

    def records(self) -> list[bytes]:
        """All records, oldest first."""
        found = []
        at, end = self._header
        while at < end:
            size = self._length(at)
            found.append(self._bytes(at + _LENGTH.size, size))
            at += _LENGTH.size + size
        return found

    def clear(self) -> None:
        """Removes all records."""
        self._header[_END] = 0
        self._header[_OLDEST] = 0

    def _length(self, at: int) -> int:
        (length,) = _LENGTH.unpack(self._bytes(at, _LENGTH.size))
        return int(length)

    def _bytes(self, at: int, size: int) -> bytes:
        begin = _HEADER + at % _ROOM
        first = self._memory[begin : min(begin + size, SIZE)]
        return first + self._memory[_HEADER : _HEADER + size - len(first)]
