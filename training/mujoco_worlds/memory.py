"""Checks that a number of worlds fits into memory, before they are made."""

import dataclasses
from pathlib import Path
from typing import Any

from inhand.training.mujoco_worlds.physics import EngineError

GIB = 2.0**30


def free_memory() -> float:
    """Memory that this process may still use, of the machine or of its control group [bytes]."""
    lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    found = [1024.0 * float(lines["MemAvailable"].split()[0])]
    group = Path("/sys/fs/cgroup")
    limit, used = group / "memory.max", group / "memory.current"
    if limit.exists() and used.exists() and limit.read_text().strip() != "max":
        found.append(float(limit.read_text()) - float(used.read_text()))
    return min(found)


def check_memory(worlds: int, each: float, free: float, where: str) -> None:
    """Compares what worlds need with what is free.

    Args:
        worlds: their number.
        each: memory of one world [bytes].
        free: memory that is free [bytes].
        where: whose memory, for the message.

    Raises:
        EngineError: it is not enough.
    """
    if worlds * each > free:
        raise EngineError(
            f"{worlds} worlds need {worlds * each / GIB:.1f} GiB and {where} has "
            f"{free / GIB:.1f} GiB free: set `worlds` of the recipe to {int(free / each)} at most"
        )


def array_bytes(record: Any) -> int:
    """Memory of all arrays of Warp in a dataclass and in those inside it [bytes]."""
    total = 0
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        if dataclasses.is_dataclass(value):
            total += array_bytes(value)
        else:
            total += int(getattr(value, "capacity", 0))
    return total
