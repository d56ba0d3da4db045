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


def make_room(directory: Path, reason: str, total_size: int) -> Path:
    """Deletes the oldest recordings above the size limit; returns the path of a new recording.

    Args:
        directory: directory of the recordings; created if it does not exist.
        reason: reason of the recording, part of its name.
        total_size: largest total size of the recordings [bytes].

    Raises:
        OSError: the directory cannot be used, or the disk is almost full.
    """
    directory.mkdir(parents=True, exist_ok=True)
    known = sorted(p for kind in _KINDS for p in directory.glob(f"{_PREFIX}{kind}"))
    sizes = {path: path.stat().st_size for path in known}
    while known and sum(sizes[path] for path in known) > total_size:
        oldest = known.pop(0)
        with suppress(OSError):
            oldest.unlink()
    if shutil.disk_usage(directory).free < RESERVE:
        raise OSError(ENOSPC, "less than 100 MB are free; free some disk space", str(directory))
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")[:-3]
    return directory / f"{_PREFIX}{stamp}Z-{reason}.mcap"
