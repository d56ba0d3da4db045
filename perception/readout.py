"""Progress display: one line of a terminal that is rewritten in place."""

import shutil
import sys


class Readout:
    """Writes to standard error; writes nothing if that is not a terminal."""

    def __init__(self) -> None:
        self._wanted, self._drawn = sys.stderr.isatty(), False

    def show(self, text: str) -> None:
        """Replaces the line."""
        if self._wanted:
            self._drawn = True
            width = shutil.get_terminal_size().columns
            print(f"\r\x1b[K{text[: width - 1]}", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Keeps the last line and moves the cursor below it."""
        if self._drawn:
            self._drawn = False
            print(file=sys.stderr, flush=True)
