"""Files that are there whole or not at all."""

import os
import shutil
from pathlib import Path

from inhand.controller.errors import CalibrationError


def keep(path: Path) -> Path | None:
    """Copies a file to a free name beside it, before it is replaced; None if it is not there.

    Raises:
        CalibrationError: it cannot be copied.
    """
    if not path.exists():
        return None
    number = 1
    while (copy := path.with_name(f"{path.name}.{number}")).exists():
        number += 1
    try:
        shutil.copy2(path, copy)
    except OSError as error:
        raise CalibrationError(f"file {copy} cannot be written: {error.strerror}") from error
    return copy


def write_whole(path: Path, text: str) -> None:
    """Writes a file beside its place, and moves it there once it is on the disk.

    Raises:
        CalibrationError: it cannot be written; what was there before still is.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise CalibrationError(f"file {path} cannot be written: {error.strerror}") from error
