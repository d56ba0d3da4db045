"""How soon servos begin to answer: who has not begun by then will not, and is not waited for."""

USUAL = 0.001
"""In which an adapter hands over what a reply begins with, as long as nothing else is known [s]."""
LONGEST = 0.004
"""That is waited for, however late replies began of late [s]."""
_FADING, _GROWING = 0.995, 1.5
"""What becomes of the time to wait for when a reply begins, and when none does."""
_SPARE = 0.0005
"""Beside twice the longest beginning of late [s]."""


class Beginnings:
    """The time after which replies began of late.

    A machine that is busy for a moment makes them late: who waited in vain waits longer the next
    time, and less again with every reply that begins soon, a third after two seconds of ticks.
    """

    def __init__(self) -> None:
        self._longest = USUAL

    def patience(self) -> float:
        """How long to wait for a reply to begin, beside the time of the request on the wire [s]."""
        return min(2 * self._longest + _SPARE, LONGEST)

    @property
    def steady(self) -> bool:
        """Whether they began so soon that one which does not in that time never will."""
        return self.patience() < LONGEST

    def note(self, seconds: float) -> None:
        """A reply began so long after its request."""
        self._longest = max(seconds, _FADING * self._longest)

    def note_none(self) -> None:
        """None did."""
        self._longest = min(_GROWING * self._longest, LONGEST)
