"""Lets a child process end when its parent does, also if that happens while it starts."""

import os

VARIABLE = "INHAND_PARENT"
"""Environment variable in which a parent leaves its process id for its children."""


def environment() -> dict[str, str]:
    """The environment that a process of ours gives to its children."""
    return {**os.environ, VARIABLE: str(os.getpid())}


class Parent:
    """The process that this one was started by."""

    def __init__(self) -> None:
        self._id = int(os.environ.get(VARIABLE, os.getppid()))

    @property
    def alive(self) -> bool:
        """Whether it still runs: an orphan is adopted by another process."""
        return os.getppid() == self._id
