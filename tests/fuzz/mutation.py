"""Mutations of bytes: small ones that a parser may get wrong, and some that texts are prone to."""

import random
import re
from collections.abc import Callable, Sequence

NUMBERS = (
    *(f"{sign}{2**bits + more}" for sign in ("", "-") for bits in (31, 63, 64) for more in (-1, 0)),
    *("0", "-1", "1e308", "-1e308", "1e-320", "1e999", "nan", "inf", "-inf", "NaN", "Infinity"),
    *("9" * 400, "1e", ".5", "00", "true", "null", "[]", "{}", "[" * 2000, '""'),
)
"""What a number of a text is replaced by."""

PIECES = (
    *(b"\x00", b"\xff", b"\xff" * 8, b"\x00" * 8, b"\x7f\xff\xff\xff", b"\x80", b"\xed\xa0\x80"),
    *(b"\n", b'"', b"[" * 3000, b"{" * 3000, b"[[", b"]]", b"=", b"\\ud800", b"\xc3", b"#"),
    *(b"\xff\xff\xfd\x00", b"\xfe" * 70_000),
)
"""What is inserted."""

_NUMBER = re.compile(rb"-?\d+(\.\d+)?(e-?\d+)?")


def mutate(draw: random.Random, corpus: Sequence[bytes]) -> bytes:
    """One of the corpus after one to four mutations."""
    data = draw.choice(corpus)
    for _ in range(draw.randint(1, 4)):
        data = draw.choice(_MUTATIONS)(draw, data, corpus)
    return data


def _flip(draw: random.Random, data: bytes, corpus: Sequence[bytes]) -> bytes:
    at, changed = draw.randrange(max(1, len(data))), bytearray(data or b"\0")
    changed[at] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _overwrite(draw: random.Random, data: bytes, corpus: Sequence[bytes]) -> bytes:
    at, piece = draw.randrange(len(data) + 1), draw.choice(PIECES[:7])
    return data[:at] + piece + data[at + len(piece) :]


def _insert(draw: random.Random, data: bytes, corpus: Sequence[bytes]) -> bytes:
    at = draw.randrange(len(data) + 1)
    return data[:at] + draw.choice(PIECES) + data[at:]


def _delete(draw: random.Random, data: bytes, corpus: Sequence[bytes]) -> bytes:
    at = draw.randrange(len(data) + 1)
    return data[:at] + data[at + draw.randint(1, 1 + len(data) // 4) :]


def _truncate(draw: random.Random, data: bytes, corpus: Sequence[bytes]) -> bytes:
    return data[: draw.randrange(len(data) + 1)]


def _repeat(draw: random.Random, data: bytes, corpus: Sequence[bytes]) -> bytes:
    at = draw.randrange(len(data) + 1)
    piece = data[at : at + draw.randint(1, 60)]
    return data[:at] + piece * draw.randint(2, 20) + data[at:]


def _splice(draw: random.Random, data: bytes, corpus: Sequence[bytes]) -> bytes:
    other = draw.choice(corpus)
    return data[: draw.randrange(len(data) + 1)] + other[draw.randrange(len(other) + 1) :]


def _number(draw: random.Random, data: bytes, corpus: Sequence[bytes]) -> bytes:
    found = list(_NUMBER.finditer(data[:20_000]))
    if not found:
        return data
    one = draw.choice(found)
    return data[: one.start()] + draw.choice(NUMBERS).encode() + data[one.end() :]


def _line(draw: random.Random, data: bytes, corpus: Sequence[bytes]) -> bytes:
    """Deletes or doubles a line."""
    lines = data.split(b"\n")
    at = draw.randrange(len(lines))
    lines[at : at + 1] = [lines[at]] * draw.choice((0, 2))
    return b"\n".join(lines)


_MUTATIONS: tuple[Callable[[random.Random, bytes, Sequence[bytes]], bytes], ...] = (
    *(_flip, _overwrite, _insert, _delete, _truncate, _repeat, _splice),
    *(_number, _number, _number, _line),
)
