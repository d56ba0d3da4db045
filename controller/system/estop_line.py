"""Emergency stop line: a switch that a thread of its own reads, beside the tick.

The circuit is closed in normal operation. Any other reading is an emergency stop, and so is a line
that cannot be read in time; therefore a cable that is pulled out stops the hand too.
"""

import errno
import fcntl
import os
import struct
import termios
import threading
import time
from contextlib import suppress

from inhand.controller.errors import StartError

PERIOD = 0.005
"""Time between two readings of the line [s]."""
PATIENCE = 0.2
"""A line that was not read for this long counts as open [s]."""

_PINS = {"cts": termios.TIOCM_CTS, "dsr": termios.TIOCM_DSR}


class EstopLine:
    """Watches a pin of a serial port, or a file that says 1 while all is well.

    Args:
        source: `cts` or `dsr`, or the path of a file (a GPIO's `value`) or a FIFO.
        port: serial port with that pin.
        priority: SCHED_FIFO priority of the watch, 0 for none.
    """

    def __init__(self, source: str, port: str, priority: int = 0) -> None:
        self._pin = _PINS.get(source)
        self._source, self._path = source, source if self._pin is None else port
        self._said = b"0"
        self._closed, self._read = False, 0.0
        self._file = -1
        self._over, self._priority = threading.Event(), priority
        self._thread = threading.Thread(target=self._watch, name="estop line", daemon=True)

    def start(self) -> None:
        """Opens the line, reads it once, and starts the watch.

        Raises:
            StartError: there is no such line.
        """
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        try:
            self._file = os.open(self._path, flags)
            self._look()
        except OSError as error:
            self._release()
            raise StartError(
                f"[estop_line] {self._source} of {self._path}: {error.strerror}; name a line "
                "that can be read, or take the entry out"
            ) from error
        self._thread.start()

    def problem(self) -> str:
        """Why the hand must stop; empty while the line is closed."""
        if time.monotonic() - self._read > PATIENCE:
            return f"the emergency stop line at {self._path} cannot be read"
        return "" if self._closed else f"the emergency stop line at {self._path} is open"

    def close(self) -> None:
        """Ends the watch, if it was started."""
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=1.0)
        self._release()

    def _release(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _watch(self) -> None:
        if self._priority:
            # The tick's thread warns if the system refuses.
            with suppress(OSError):
                os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(self._priority))
        while not self._over.wait(PERIOD):
            try:
                self._look()
            except OSError:
                # `problem` reports a line that is not read for `PATIENCE`.
                continue

    def _look(self) -> None:
        if self._pin is not None:
            (bits,) = struct.unpack("I", fcntl.ioctl(self._file, termios.TIOCMGET, b"\0" * 4))
            closed = bool(bits & self._pin)
        else:
            closed = self._level() == b"1"
        self._closed, self._read = closed, time.monotonic()

    def _level(self) -> bytes:
        """The first byte of a file, or the last byte that was written to a FIFO."""
        try:
            return os.pread(self._file, 1, 0)
        except OSError as error:
            if error.errno != errno.ESPIPE:
                raise
        try:
            # An empty read means that no process has the other end open.
            self._said = os.read(self._file, 4096).strip()[-1:]
        except BlockingIOError:
            return self._said
        return self._said
