"""How far something is, on one line of a terminal that is rewritten in place."""

import shutil
import sys


class Readout:
    """Shows on standard error; where that is no terminal, nothing."""

    def __init__(self) -> None:
        self._wanted, self._drawn = sys.stderr.isatty(), False

    def show(self, text: str) -> None:
        """Puts a text in place of the last one."""
        if self._wanted:
            self._drawn = True
            width = shutil.get_terminal_size().columns
            print(f"\r\x1b[K{text[: width - 1]}", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Leaves what was shown last, and goes on below."""
        if self._drawn:
            self._drawn = False
            print(file=sys.stderr, flush=True)
