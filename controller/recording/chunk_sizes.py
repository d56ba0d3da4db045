"""Sizes of a recording's chunks, checked before a library decompresses them.

A chunk of a few kilobytes may state, and contain, gigabytes of zeros. For the layout of the records
see mcap.dev/spec.
"""

import os
import struct
from contextlib import suppress
from typing import BinaryIO

import zstandard
from mcap.writer import MCAP0_MAGIC

LARGEST = 64 << 20
"""Largest chunk that is decompressed; the daemon's chunks have about 1 MB [bytes]."""

_CHUNK = 6
_RECORD = struct.Struct("<BQ")
_FIXED = struct.Struct("<QQQII")
"""Start and end of the messages, size, checksum, and length of the compression's name."""

_FRAME = 18
"""Longest header of a frame of zstd."""


def check_chunks(file: BinaryIO) -> None:
    """Looks at the header of each chunk of an MCAP file.

    Raises:
        ValueError: a chunk is too large, or compressed in a way that recordings do not use.
    """
    if file.read(len(MCAP0_MAGIC)) != MCAP0_MAGIC:
        return
    while len(head := file.read(_RECORD.size)) == _RECORD.size:
        kind, length = _RECORD.unpack(head)
        begun = file.tell()
        if not kind or length >= 2**62:
            # After a power failure a file may end with zeros; a reader looks at all of them.
            if file.seek(0, os.SEEK_END) - begun > LARGEST:
                raise ValueError(f"no record begins at byte {begun - _RECORD.size}")
            return
        if kind == _CHUNK:
            _check(file.read(min(length, _FIXED.size + 4 + 8 + _FRAME)))
        file.seek(begun + length)


def _check(chunk: bytes) -> None:
    """Checks the beginning of a chunk; one that is cut off is left to the reader."""
    if len(chunk) < _FIXED.size:
        return
    _, _, size, _, name = _FIXED.unpack_from(chunk)
    compression = chunk[_FIXED.size : _FIXED.size + min(name, 4)]
    if name and compression != b"zstd":
        raise ValueError("a chunk is not compressed by zstd")
    sizes = [size]
    if name:
        with suppress(zstandard.ZstdError):
            sizes.append(zstandard.frame_content_size(chunk[_FIXED.size + name + 8 :]))
    if max(sizes) > LARGEST:
        raise ValueError(f"a chunk of {max(sizes)} bytes, at most {LARGEST} are read")
