"""Child processes: how one is ended, and how it notices that its parent has ended."""

import os
import signal
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

VARIABLE = "INHAND_PARENT"
"""Environment variable with the process id of the parent."""

_LOOK = 0.5
"""Time between two looks whether the parent still runs [s]."""


def environment() -> dict[str, str]:
    """The environment for child processes that use `Parent`."""
    return {**os.environ, VARIABLE: str(os.getpid())}


def end_process(process: "subprocess.Popen[bytes]", patience: float = 2.0) -> None:
    """Asks a child process to end, and kills it if it has not after `patience` [s]."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(patience)
    process.kill()
    process.wait()


class Parent:
    """The process that started this one; it may end while this one still starts."""

    def __init__(self) -> None:
        self._id = int(os.environ.get(VARIABLE, os.getppid()))

    @classmethod
    def waiting(cls) -> Self | None:
        """The program that started this one with `environment`, and waits for it; None without one.

        The variable is inherited: this process may have been started by a shell, or by another
        program, that such a child runs.
        """
        id = os.environ.get(VARIABLE, "")
        started = id == str(os.getppid()) or (id.isdecimal() and not _runs(id))
        return cls() if started else None

    @property
    def alive(self) -> bool:
        """Whether it still runs: the kernel gives an orphan another parent."""
        return os.getppid() == self._id


def _runs(id: str) -> bool:
    """Whether a process runs; one that has ended may wait for its own parent to notice."""
    try:
        return Path("/proc", id, "stat").read_text().rpartition(") ")[2][:1] not in ("Z", "X")
    except OSError:
        return False


def end_with_parent() -> None:
    """Ends this process as SIGTERM does once the program that waits for it has ended.

    It does nothing in a process that a user started.
    """
    parent = Parent.waiting()
    if parent is None:
        return

    def watch() -> None:
        while parent.alive:
            time.sleep(_LOOK)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()
