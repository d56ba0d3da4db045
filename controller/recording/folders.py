"""Folders that exports write: whole or not at all, and never over one that exists."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from inhand.controller.errors import RecordingError


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A place to write a folder; it gets the name `path` when the block ends.

    If the block raises, nothing is left.

    Raises:
        RecordingError: there is something of that name, or it cannot be written.
    """
    if path.exists():
        raise RecordingError(f"export to {path}: it exists; name another folder with --output")
    part = path.with_name(f".{path.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        part.rename(path)
    except OSError as error:
        raise RecordingError(f"export to {path}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
