"""Room for recordings: their names, and which ones make way."""

import shutil
from contextlib import suppress
from datetime import UTC, datetime
from errno import ENOSPC
from pathlib import Path

RESERVE = 100 * 1024 * 1024
"""Room that recordings leave to everybody else on the disk [bytes]."""

_PREFIX = "inhand-"
_KINDS = ("*.mcap", "*.mcap.part")


def make_room(directory: Path, reason: str, total_size: int) -> Path:
    """Deletes the oldest recordings until the rest is small enough; returns a new one's name.

    Args:
        directory: where recordings are; made if it is not there.
        reason: part of the name.
        total_size: what all of them together may take [bytes].

    Raises:
        OSError: the directory cannot be used, or the disk is full of other things.
    """
    directory.mkdir(parents=True, exist_ok=True)
    known = sorted(p for kind in _KINDS for p in directory.glob(f"{_PREFIX}{kind}"))
    sizes = {path: path.stat().st_size for path in known}
    while known and sum(sizes[path] for path in known) > total_size:
        oldest = known.pop(0)
        with suppress(OSError):
            oldest.unlink()
    if shutil.disk_usage(directory).free < RESERVE:
        raise OSError(ENOSPC, "less than 100 MB are free; make room", str(directory))
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")[:-3]
    return directory / f"{_PREFIX}{stamp}Z-{reason}.mcap"
