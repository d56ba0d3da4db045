"""A child process that ends with the daemon."""

import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress

from inhand.perception.parent import end_process, environment


class Child:
    """A process that ends with the daemon.

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
        """Starts the process.

        Args:
            name: for messages.
            arguments: after the interpreter.
            stdout: as in `subprocess.Popen`.
            descriptors: that the process inherits.
            ends_itself: whether it ends by itself when its pipes are closed, after completing its
                work.
        """
        self.name = name
        self._arguments = arguments
        self._stdout = stdout
        self._descriptors = descriptors
        self._ends_itself = ends_itself
        # For small arrays, waking the threads of numerical libraries costs more than they save.
        variables = {**environment(), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            # With -P, no file in the current directory is taken for a module.
            [sys.executable, "-P", *arguments],
            stdin=subprocess.PIPE,
            stdout=stdout,
            env=variables,
            pass_fds=descriptors,
            # Ctrl-C reaches the daemon alone, which then ends its children in order.
            start_new_session=True,
        )

    @property
    def ended(self) -> bool:
        return self.process.poll() is not None

    def again(self) -> "Child":
        """Starts the process once more."""
        return Child(
            self.name,
            self._arguments,
            stdout=self._stdout,
            descriptors=self._descriptors,
            ends_itself=self._ends_itself,
        )

    def stop(self) -> None:
        """Closes its pipes and ends it, unless it ends itself when they are closed."""
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        if self._ends_itself:
            return
        end_process(self.process)
