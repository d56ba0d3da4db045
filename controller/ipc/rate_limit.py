"""Request rate limits: a token bucket for each client, and one for each program."""

from collections.abc import Hashable

RATE = 500.0
"""Sustained rate of one client [requests/s]."""
BURST = 1000.0
"""Largest burst of one client [requests]."""

PROGRAM_RATE = 2 * RATE
"""Sustained rate of all connections of one process together [requests/s]."""
PROGRAM_BURST = 2 * BURST
"""Largest burst of all connections of one process together [requests]."""

COST_SIZE = 1000
"""Each so many bytes of a message count as one more request [bytes]."""

_MOST_CLIENTS = 256


def cost(size: int) -> float:
    """The cost of a message of this size [bytes], counted in small requests."""
    return 1.0 + size // COST_SIZE


class RateLimit:
    """One token bucket per client; idle clients are removed when there are many."""

    def __init__(self, rate: float = RATE, burst: float = BURST) -> None:
        self._rate, self._burst = rate, burst
        self._buckets: dict[Hashable, tuple[float, float]] = {}

    def allows(self, client: Hashable, now: float, cost: float = 1.0) -> bool:
        """Whether the client may make one more request now; if so, takes its tokens.

        Args:
            client: identity of the client.
            now: current time [s].
            cost: tokens of the request; 1 for a small one.
        """
        if client not in self._buckets and len(self._buckets) >= _MOST_CLIENTS:
            self._remove_idle(now)
        tokens, since = self._buckets.get(client, (self._burst, now))
        tokens = min(self._burst, tokens + self._rate * (now - since))
        allowed = tokens >= cost
        self._buckets[client] = tokens - (cost if allowed else 0.0), now
        return allowed

    def _remove_idle(self, now: float) -> None:
        """Removes full buckets, which equal new ones; if there are none, the longest unused."""
        refill = self._burst / self._rate
        self._buckets = {c: b for c, b in self._buckets.items() if now - b[1] < refill}
        if len(self._buckets) >= _MOST_CLIENTS:
            del self._buckets[min(self._buckets, key=lambda client: self._buckets[client][1])]


class RequestLimits:
    """The limits of each client, and of all connections of one program together."""

    def __init__(self) -> None:
        self._clients = RateLimit()
        self._programs = RateLimit(PROGRAM_RATE, PROGRAM_BURST)

    def excess(self, client: int, program: int | None, size: int, now: float) -> str:
        """Which limit a message exceeds; empty if none.

        Args:
            client: number of the connection.
            program: process id of the client; None for one whose limits are elsewhere.
            size: of the message [bytes].
            now: current time [s].
        """
        if not self._clients.allows(client, now, cost(size)):
            return _TOO_MANY
        # A program that connects again, or many times, has no more requests for that.
        if program is None or self._programs.allows(program, now, cost(size)):
            return ""
        return _TOO_MANY_OF_ALL


_TOO_MANY = f"more than {RATE:.0f} requests a second from one client; send fewer requests"
_TOO_MANY_OF_ALL = (
    f"more than {PROGRAM_RATE:.0f} requests a second from all connections of one program; send "
    "fewer requests"
)
