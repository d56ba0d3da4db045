"""Processes of a run: found by their command lines, halted for a while, waited for."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PATIENCE = 120.0
"""Longest time that a busy machine needs [s]."""


def wait(what: Callable[[], object]) -> None:
    """Waits until something is true."""
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def process_of(directory: Path, *words: str) -> int:
    """Number of the process of this run whose command line has these words."""
    for number in filter(str.isdecimal, os.listdir("/proc")):
        with suppress(OSError):
            line = Path(f"/proc/{number}/cmdline").read_text().split("\0")
            if all(word in line for word in words) and str(directory) in " ".join(line):
                return int(number)
    raise AssertionError(f"no process of {words}")


def other_process(before: int, directory: Path, *words: str) -> bool:
    """Whether another process than `before` has these words in its command line."""
    with suppress(AssertionError):
        return process_of(directory, *words) != before
    return False


@contextmanager
def halted(process: int) -> Iterator[None]:
    """Halts a process meanwhile."""
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)
