"""The first value of a replay that is not equal, to the bit, to the value in the recording."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from typing import Any

import msgspec
import numpy as np

from inhand.controller.recording import tick_record
from inhand.controller.recording.tick_record import CheckpointRecord, TickRecord


@dataclass(frozen=True)
class Difference:
    """The first difference between a replay and its recording.

    Attributes:
        n: number of the tick.
        t: time of the tick [s].
        what: name of the value, like `outputs.pose.position`.
        recorded: the value in the recording.
        replayed: the value in the replay.
    """

    n: int
    t: float
    what: str
    recorded: str
    replayed: str


def compare(
    record: TickRecord | CheckpointRecord, recorded: object, replayed: object
) -> Difference | None:
    """The first value that is not equal to the bit; None if all are.

    Args:
        record: with the number and the time of the tick.
        recorded: values in the recording.
        replayed: the same values in the replay.
    """
    if tick_record.pack(recorded) == tick_record.pack(replayed):
        return None
    what, a, b = next(_walk("", recorded, replayed), ("", recorded, replayed))
    return Difference(record.n, record.t, what, _as_text(a), _as_text(b))


def _walk(name: str, a: Any, b: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yields the name and the two values of each leaf that is not equal to the bit."""
    if tick_record.pack(a) == tick_record.pack(b):
        return
    children: Iterator[tuple[Any, Any, Any]] | None = None
    if isinstance(a, msgspec.Struct) and type(a) is type(b):
        children = ((key, getattr(a, key), getattr(b, key)) for key in a.__struct_fields__)
    elif is_dataclass(a) and type(a) is type(b):
        children = ((f.name, getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    elif isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
        children = ((key, a[key], b[key]) for key in a)
    elif isinstance(a, list | tuple) and isinstance(b, list | tuple) and len(a) == len(b):
        children = ((i, one, other) for i, (one, other) in enumerate(zip(a, b, strict=True)))
    if children is None:
        yield name, a, b
        return
    for key, one, other in children:
        yield from _walk(f"{name}.{key}".lstrip("."), one, other)


def _as_text(value: object) -> str:
    if isinstance(value, np.ndarray):
        return np.array2string(value, floatmode="unique", max_line_width=10_000, separator=", ")
    return repr(value.value if isinstance(value, Enum) else value)[:500]
