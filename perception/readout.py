"""A status line: one line of a terminal, rewritten in place."""

import shutil
import sys
from typing import TextIO


class Readout:
    """Shows a status line where the stream is a terminal; elsewhere it shows nothing.

    Args:
        stream: standard error if not given.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._wanted, self._drawn = self._stream.isatty(), False

    def show(self, text: str) -> None:
        """Replaces the line."""
        if self._wanted:
            self._drawn = True
            width = shutil.get_terminal_size().columns
            print(f"\r\x1b[K{text[: width - 1]}", end="", file=self._stream, flush=True)

    def clear(self) -> None:
        """Empties the line."""
        if self._wanted:
            self._drawn = False
            print("\r\x1b[K", end="", file=self._stream, flush=True)

    def end(self) -> None:
        """Keeps the last line and moves the cursor below it."""
        if self._drawn:
            self._drawn = False
            print(file=self._stream, flush=True)
