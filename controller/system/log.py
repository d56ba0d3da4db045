"""Log lines on standard error that never make a thread wait, whatever becomes of the reader.

A pipe that nobody empties, a stopped terminal or a full disk blocks whoever writes to it. Here only
one thread writes; if it is blocked, further lines are lost and counted.
"""

import logging
import os
import queue
import sys
import threading
from contextlib import suppress

FORMAT = "%(asctime)s %(levelname)s %(message)s"

WAITING = 1000
"""Most lines that wait to be written."""

_LONGEST = 4000
_CLOSE_TIME = 0.5


class LogWriter(logging.Handler):
    """A handler whose `emit` never waits.

    Args:
        descriptor: where the lines go.

    Attributes:
        lost: lines that were lost because earlier ones could not be written.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self.lost = 0
        self._descriptor = descriptor
        self._lines: queue.Queue[str | None] = queue.Queue(WAITING)
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)

    def start(self) -> None:
        """Starts the writing thread."""
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._lines.put_nowait(self.format(record)[:_LONGEST])
        except queue.Full:
            self.lost += 1
        except Exception:
            # A message that cannot be formatted must not end the thread that logs it.
            self.lost += 1

    def close(self) -> None:
        """Writes the waiting lines, if that is possible within a short time."""
        if self._thread.is_alive():
            with suppress(queue.Full):
                self._lines.put_nowait(None)
            self._thread.join(_CLOSE_TIME)
        super().close()

    def _write(self) -> None:
        told = 0
        while (line := self._lines.get()) is not None:
            self._put(line)
            if self.lost > told:
                told = self.lost
                self._put(f"{told} log lines were lost until now, as standard error was blocked")

    def _put(self, line: str) -> None:
        data = f"{line}\n".encode(errors="replace")
        # A closed pipe loses the line; the daemon does not end for that.
        with suppress(OSError):
            while data:
                data = data[os.write(self._descriptor, data) :]


def start_logging(level: int = logging.INFO) -> None:
    """From now on, the log of this process goes to standard error through `LogWriter`."""
    writer = LogWriter(2)
    writer.setFormatter(logging.Formatter(FORMAT))
    logging.basicConfig(level=level, handlers=[writer], force=True)
    writer.start()


def say(text: str, patience: float = 1.0) -> None:
    """Prints a text to standard output; gives up after `patience` [s] if nobody reads it."""

    def write() -> None:
        with suppress(OSError, ValueError):
            print(text, file=sys.stdout, flush=True)

    thread = threading.Thread(target=write, name="say", daemon=True)
    thread.start()
    thread.join(patience)
