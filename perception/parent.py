"""Lets a child process end when its parent ends, also while the child starts."""

import os

VARIABLE = "INHAND_PARENT"
"""Environment variable with the process id of the parent."""


def environment() -> dict[str, str]:
    """The environment for child processes that use `Parent`."""
    return {**os.environ, VARIABLE: str(os.getpid())}


class Parent:
    """The process that started this one."""

    def __init__(self) -> None:
        self._id = int(os.environ.get(VARIABLE, os.getppid()))

    @property
    def alive(self) -> bool:
        """Whether it still runs: the kernel gives an orphan another parent."""
        return os.getppid() == self._id
