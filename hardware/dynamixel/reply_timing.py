"""Adaptive timeout for the first byte of a reply, from the delays of recent replies."""

USUAL = 0.001
"""Delay of the first byte that is assumed before any reply was measured [s]."""
LONGEST = 0.004
"""Largest timeout [s]."""
_DECAY, _GROWTH = 0.995, 1.5
"""Factors on the longest recent delay: for each reply, and for each reply that does not come."""
_MARGIN = 0.0005
"""The timeout is twice the longest recent delay plus this [s]."""


class ReplyTimeout:
    """The longest recent delay of a reply's first byte, and the timeout that follows from it.

    A busy machine delays replies. So the timeout grows after each reply that does not come, and
    decays with each that does: to a third after two seconds of ticks.
    """

    def __init__(self) -> None:
        self._longest = USUAL

    def patience(self) -> float:
        """Timeout for the first byte, in addition to the time of the request on the wire [s]."""
        return min(2 * self._longest + _MARGIN, LONGEST)

    @property
    def steady(self) -> bool:
        """Whether the timeout is below its largest value: later replies are then not expected."""
        return self.patience() < LONGEST

    def note(self, seconds: float) -> None:
        """Records the delay from a request to the first byte of its reply [s]."""
        self._longest = max(seconds, _DECAY * self._longest)

    def note_none(self) -> None:
        """Records that no reply came."""
        self._longest = min(_GROWTH * self._longest, LONGEST)
