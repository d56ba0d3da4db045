"""A progress bar on terminals, for what takes longer than two seconds."""

import time

from inhand.perception.readout import Readout

_PATIENCE = 2.0
_PERIOD = 0.2
_WIDTH = 30


class Progress:
    """Shows on standard error how much is done, beginning after two seconds.

    Args:
        what: is being done.
        total: how much there is to do; 0 if that is unknown.
    """

    def __init__(self, what: str, total: float) -> None:
        self._what, self._total = what, total
        self._shown = time.monotonic() + _PATIENCE - _PERIOD
        self._line, self._drawn = Readout(), False

    def at(self, done: float, note: str = "") -> None:
        """Shows how much is done, and a note after it, at most five times a second."""
        now = time.monotonic()
        if now < self._shown + _PERIOD:
            return
        self._shown, self._drawn = now, True
        share = min(1.0, done / self._total) if self._total else 0.0
        bar = "#" * round(_WIDTH * share)
        self._line.show(f"{self._what} [{bar:<{_WIDTH}}] {100 * share:3.0f} %  {note}".rstrip())

    def end(self) -> None:
        """Removes the bar."""
        if self._drawn:
            self._line.clear()
