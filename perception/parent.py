"""Child processes: how one is ended, and how it notices that its parent has ended."""

import os
import subprocess
from contextlib import suppress

VARIABLE = "INHAND_PARENT"
"""Environment variable with the process id of the parent."""


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

    @property
    def alive(self) -> bool:
        """Whether it still runs: the kernel gives an orphan another parent."""
        return os.getppid() == self._id
