"""A child process that ends with the daemon."""

import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Self

from inhand.perception.parent import environment


class Child:
    """A process that ends with the daemon; it runs from `start` on.

    Args:
        name: for messages.
        arguments: after the interpreter.
        stdout: as in `subprocess.Popen`.
        descriptors: that the process inherits.
        ends_itself: whether it ends by itself when its pipes are closed, after completing its work.

    Attributes:
        name: for messages.
    """

    def __init__(
        self,
        name: str,
        arguments: list[str],
        *,
        stdout: int | None = None,
        descriptors: Sequence[int] = (),
        ends_itself: bool = False,
    ) -> None:
        self.name = name
        self._arguments = arguments
        self._stdout = stdout
        self._descriptors = descriptors
        self._ends_itself = ends_itself
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Starts the process, also once more after it has ended."""
        # For small arrays, waking the threads of numerical libraries costs more than they save.
        variables = {**environment(), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self._close_pipes()
        self._process = subprocess.Popen(
            # With -P, no file in the current directory is taken for a module.
            [sys.executable, "-P", *self._arguments],
            stdin=subprocess.PIPE,
            stdout=self._stdout,
            env=variables,
            pass_fds=self._descriptors,
            # Ctrl-C reaches the daemon alone, which then ends its children in order.
            start_new_session=True,
        )
        return self

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        """The process that was started last."""
        assert self._process is not None, "start() was not called"
        return self._process

    @property
    def number(self) -> int | None:
        """Process id; None before it was started."""
        return None if self._process is None else self._process.pid

    @property
    def ended(self) -> bool:
        return self.process.poll() is not None

    def stop(self) -> None:
        """Closes its pipes and ends it, unless it ends itself when they are closed."""
        stop_all([self])

    def ask_to_end(self) -> None:
        """Closes its pipes and asks it to end, unless it ends itself when they are closed."""
        self._close_pipes()
        if self._process is not None and not self._ends_itself:
            self._process.terminate()

    def end(self, patience: float) -> None:
        """Kills it if it has not ended within `patience` [s], unless it ends itself."""
        if self._process is None or self._ends_itself:
            return
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(max(0.0, patience))
        self._process.kill()
        self._process.wait()

    def _close_pipes(self) -> None:
        if self._process is not None:
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    with suppress(OSError):
                        pipe.close()


def stop_all(children: Sequence[Child], patience: float = 2.0) -> None:
    """Stops processes at the same time; those that do not end within `patience` [s] are killed."""
    for child in reversed(children):
        child.ask_to_end()
    deadline = time.monotonic() + patience
    for child in reversed(children):
        child.end(deadline - time.monotonic())
