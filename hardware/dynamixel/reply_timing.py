"""Adaptive timeout for the first byte of a reply, from the delays of recent replies."""

import logging
from math import inf

from inhand.hardware.errors import BusError

USUAL = 0.001
"""Delay of the first byte that is assumed before any reply was measured [s]."""
LONGEST = 0.004
"""Largest timeout [s]."""
_DECAY, _GROWTH = 0.995, 1.5
"""Factors on the longest recent delay: for each reply, and for each reply that does not come."""
_MARGIN = 0.0005
"""The timeout is twice the longest recent delay plus this [s]."""


log = logging.getLogger(__name__)

MARGIN_OF_LATE = 1.2
"""Timeout of replies that an adapter holds back, over their shortest delay."""
_REPLIES_IN_PERIOD = 2.75
"""Delays of such replies that must fit between two reads: two replies, and the decision."""
SLOW_REPLY = 0.008
"""Shortest delay of replies from which on an adapter holds them back [s]."""


def slow_replies(seconds: float) -> tuple[str, str]:
    """What a user is told about replies that come this late [s], and the remedy."""
    return (
        f"replies come after {1000 * seconds:.0f} ms: the adapter holds them back",
        "set its latency timer to 1 ms: install the udev rules (docs/hardware.md), or write 1 to "
        "/sys/bus/usb-serial/devices/ttyUSB0/latency_timer",
    )


def patience_for(fastest: float, period: float, usual: float) -> float:
    """Timeout of replies, also for an adapter that holds them back.

    Args:
        fastest: shortest delay of a reply that was measured [s].
        period: time between two reads; 0 if any is all right [s].
        usual: timeout without such an adapter [s].

    Raises:
        BusError: replies come too late for this period.
    """
    if fastest <= SLOW_REPLY or not period:
        return usual
    problem, remedy = slow_replies(fastest)
    needed = _REPLIES_IN_PERIOD * fastest
    if period < needed:
        raise BusError(
            f"{problem}; {remedy}; or set tick_rate in the configuration to "
            f"{int(1 / needed)} Hz or less"
        )
    log.warning("%s; %s", problem, remedy)
    # Twice the delay, if the period leaves time for two such replies.
    generous = min(2.0 * fastest, period / _REPLIES_IN_PERIOD)
    return max(usual, MARGIN_OF_LATE * fastest, generous)


class ReplyTimeout:
    """The longest recent delay of a reply's first byte, and the timeout that follows from it.

    A busy machine delays replies. So the timeout grows after each reply that does not come, and
    decays with each that does: to a third after two seconds of ticks.

    Attributes:
        fastest: shortest delay of a reply's first byte [s]; infinite before the first reply.
    """

    def __init__(self) -> None:
        self._longest = USUAL
        self.fastest = inf

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
        self.fastest = min(self.fastest, seconds)

    def note_none(self) -> None:
        """Records that no reply came."""
        self._longest = min(_GROWTH * self._longest, LONGEST)
