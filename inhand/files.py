"""Files that are written whole or not at all."""

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from inhand.errors import WriteError

LARGEST = 16 << 20
"""Largest text file that is read: descriptions, configurations, keys [bytes]."""


def read_file(path: str | Path, most: int = LARGEST) -> bytes:
    """The content of a regular file; a FIFO or a device, which may have no end, is refused.

    Args:
        path: of the file.
        most: its largest size [bytes].

    Raises:
        OSError: it cannot be read, is too large, or no regular file.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = file.read(most + 1)
    finally:
        os.close(descriptor)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"larger than {most} bytes", str(path))
    return content


@contextmanager
def whole_file(path: str | Path, mode: int = 0o666) -> Iterator[BinaryIO]:
    """Opens a file for writing beside its place, and moves it there when it is complete.

    The content is on the disk before the file gets its name. If the block raises, the new file is
    deleted, and what was there before stays. A symbolic link stays one: its target is replaced.

    Args:
        path: where the file goes; a file that is there already is replaced and keeps its mode.
        mode: permissions of a new file, less the umask.

    Raises:
        OSError: the file cannot be written.
    """
    path = Path(os.path.realpath(path))
    part = path.with_name(f".{path.name}.part")
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
            with suppress(FileNotFoundError):
                os.fchmod(file.fileno(), path.stat().st_mode & 0o7777)
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise


def write_whole(path: str | Path, content: str | bytes, mode: int = 0o666) -> None:
    """Writes a file, text as UTF-8, through `whole_file`.

    Raises:
        WriteError: it cannot be written; what was there before still is.
    """
    try:
        with whole_file(path, mode) as file:
            file.write(content.encode() if isinstance(content, str) else content)
    except OSError as error:
        raise WriteError(f"file {path} cannot be written: {error.strerror}") from error


def refuse_existing(path: Path, option: str) -> None:
    """Raises WriteError if something is at this path already, so that nothing is overwritten.

    Args:
        path: where a result is to go.
        option: what names another place.
    """
    if os.path.lexists(path):
        raise WriteError(f"{path}: it exists; name another one with {option}")


def back_up(path: Path) -> Path | None:
    """Copies a file to a free name beside it, before it is replaced; None if it is not there.

    Raises:
        WriteError: it cannot be copied.
    """
    if not path.exists():
        return None
    number = 1
    while (copy := path.with_name(f"{path.name}.{number}")).exists():
        number += 1
    try:
        shutil.copy2(path, copy)
    except OSError as error:
        raise WriteError(f"file {copy} cannot be written: {error.strerror}") from error
    return copy
