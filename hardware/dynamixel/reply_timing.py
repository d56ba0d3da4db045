"""Timeouts for the first byte of a reply, from the delays of recent replies."""

import logging
from collections import deque

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

_MARGIN_OF_LATE = 1.2
"""Timeout of replies that an adapter holds back, over their delay."""
_REPLIES_IN_PERIOD = 2.75
"""Delays of such replies that must fit between two reads: two replies, and the decision."""
SLOW_REPLY = 0.008
"""Delay of replies from which on an adapter holds them back; see `ReplyDelays.usual` [s]."""
_LONGEST_OF_LATE = 0.1
"""Largest timeout of such replies [s]."""
_DELAYS_KEPT = 256


def slow_replies(seconds: float) -> tuple[str, str]:
    """What a user is told about replies that come this late [s], and the remedy."""
    return (
        f"replies come after {1000 * seconds:.0f} ms: the adapter holds them back",
        "set its latency timer to 1 ms: install the udev rules (docs/hardware.md), or write 1 to "
        "/sys/bus/usb-serial/devices/ttyUSB0/latency_timer",
    )


def patience_for(delay: float, period: float, usual: float) -> tuple[float, float]:
    """Timeouts of replies, also for an adapter that holds them back.

    Args:
        delay: usual delay of a reply [s]; see `ReplyDelays.usual`.
        period: time between two reads; 0 if any is all right [s].
        usual: timeout without such an adapter [s].

    Returns:
        The timeout for the replies of all servos, and the one for a servo that is read after them
        in the same period [s].

    Raises:
        BusError: replies come too late for this period.
    """
    if delay <= SLOW_REPLY or not period:
        return usual, usual / 2
    problem, remedy = slow_replies(delay)
    needed = _REPLIES_IN_PERIOD * delay
    if period < needed:
        raise BusError(
            f"{problem}; {remedy}; or set tick_rate in the configuration to "
            f"{int(1 / needed)} Hz or less"
        )
    log.warning("%s; %s", problem, remedy)
    # A busy machine delays replies too: as much time as the period leaves for two of them.
    generous, least = min(_LONGEST_OF_LATE, period / _REPLIES_IN_PERIOD), _MARGIN_OF_LATE * delay
    patience = max(usual, least, generous)
    return patience, max(least, patience / 2)


class ReplyDelays:
    """Delays of recent replies, from the moment before the request is sent to the first byte.

    A busy machine lengthens some of them by any time, so that their mean or their largest value
    says nothing about the line. None is shorter than the delay on the line, except for the reply
    to an older request: such replies are left out as far as they can be recognised.

    Attributes:
        unsure: whether a reply to an older request may still come.
    """

    def __init__(self) -> None:
        self.unsure = True
        self._recent = deque[float](maxlen=_DELAYS_KEPT)

    @property
    def usual(self) -> float:
        """Lower quartile of the delays [s]; 0 before the first.

        An adapter sends what it holds back at fixed intervals. So a few replies come early, those
        to requests that a busy machine sent late.
        """
        return sorted(self._recent)[len(self._recent) // 4] if self._recent else 0.0

    def forget(self) -> None:
        """Begins anew."""
        self._recent.clear()

    def note(self, seconds: float, *, alone: bool) -> None:
        """Records the delay of a complete reply.

        Args:
            seconds: the delay [s].
            alone: whether nothing else was received with it.
        """
        if alone and not self.unsure:
            self._recent.append(seconds)
        self.unsure = False


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
