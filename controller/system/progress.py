"""A progress line on terminals, for what takes longer than two seconds."""

import sys
import time

_PATIENCE = 2.0
_PERIOD = 0.2
_WIDTH = 30


class Progress:
    """Says on standard error how far something is, from its second second on.

    Args:
        what: is being done.
        total: how much there is to do; 0 if nobody knows.
    """

    def __init__(self, what: str, total: float) -> None:
        self._what, self._total = what, total
        self._shown = time.monotonic() + _PATIENCE - _PERIOD
        self._wanted, self._drawn = sys.stderr.isatty(), False

    def at(self, done: float) -> None:
        """Takes note of how much is done."""
        now = time.monotonic()
        if not self._wanted or now < self._shown + _PERIOD:
            return
        self._shown, self._drawn = now, True
        share = min(1.0, done / self._total) if self._total else 0.0
        bar = "#" * round(_WIDTH * share)
        print(f"\r{self._what} [{bar:<{_WIDTH}}] {100 * share:3.0f} %", end="", file=sys.stderr)
        sys.stderr.flush()

    def end(self) -> None:
        """Takes the line away."""
        if self._drawn:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
