"""A served bench hand in a process of its own, with the usual limit of file descriptors.

Run as `python -m tests.controller.served_apart DIRECTORY`.
"""

import resource
import subprocess
import sys
from pathlib import Path
from typing import Self

from inhand.controller.core.records import Event
from tests.controller.served import Served

DESCRIPTORS = 1024
"""Limit of file descriptors of the process."""


class ServedApart:
    """The process.

    Attributes:
        directory: directory of its sockets.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", __name__, str(self.directory)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=120)
        assert self._process.returncode == 0

    def memory(self) -> int:
        """Resident memory [bytes]."""
        lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        (resident,) = (line for line in lines if line.startswith("VmRSS:"))
        return 1024 * int(resident.split()[1])

    def descriptors(self) -> int:
        """Number of open file descriptors."""
        return sum(1 for _ in Path(f"/proc/{self._process.pid}/fd").iterdir())


def main() -> None:
    """Serves until standard input ends; the log of events is full."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
    with Served(Path(sys.argv[1])) as served:
        long = {"problem": "x" * 150}
        served.request_queue.leave([], [Event(0.0, "bus", long) for _ in range(1000)])
        print("ready", flush=True)
        sys.stdin.read()
        assert not served.failures


if __name__ == "__main__":
    main()
