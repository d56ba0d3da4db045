"""Disk space for recordings: names of new files, and deletion of the oldest ones."""

import shutil
from contextlib import suppress
from datetime import UTC, datetime
from errno import ENOSPC
from pathlib import Path

RESERVE = 100 * 1024 * 1024
"""Disk space that recordings leave free [bytes]."""

_PREFIX = "inhand-"
_KINDS = ("*.mcap", "*.mcap.part")

REQUESTED = ("request", "continuous")
"""Reasons of recordings that clients asked for; all others are of faults."""


def make_room(directory: Path, reason: str, total_size: int) -> Path:
    """Deletes the oldest recordings above the size limit; returns the path of a new recording.

    Recordings that clients asked for are deleted first, and those of faults only for another fault.

    Args:
        directory: directory of the recordings; created if it does not exist.
        reason: reason of the recording, part of its name.
        total_size: largest total size of the recordings [bytes].

    Raises:
        OSError: the directory cannot be used, the disk is almost full, or recordings of faults take
            all the space.
    """
    directory.mkdir(parents=True, exist_ok=True)
    known = sorted(p for kind in _KINDS for p in directory.glob(f"{_PREFIX}{kind}"))
    sizes = {path: path.stat().st_size for path in known}
    dispensable = [path for path in known if _requested(path)]
    if reason not in REQUESTED:
        dispensable += [path for path in known if not _requested(path)]
    for oldest in dispensable:
        if sum(sizes.values()) <= total_size:
            break
        with suppress(OSError):
            oldest.unlink()
        del sizes[oldest]
    if sum(sizes.values()) > total_size and reason in REQUESTED:
        text = "recordings of faults take all the space; move them away, or raise total_size"
        raise OSError(ENOSPC, text, str(directory))
    if shutil.disk_usage(directory).free < RESERVE:
        raise OSError(ENOSPC, "less than 100 MB are free; free some disk space", str(directory))
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")[:-3]
    return directory / f"{_PREFIX}{stamp}Z-{reason}.mcap"


def _requested(path: Path) -> bool:
    return path.name.partition(".mcap")[0].endswith(tuple(f"-{reason}" for reason in REQUESTED))
