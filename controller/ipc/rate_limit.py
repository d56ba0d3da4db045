"""Request rate limit of each client: a token bucket."""

RATE = 500.0
"""Sustained rate of one client [requests/s]."""
BURST = 1000.0
"""Largest burst of one client [requests]."""

_MOST_CLIENTS = 256


class RateLimit:
    """One token bucket per client; idle clients are removed when there are many."""

    def __init__(self, rate: float = RATE, burst: float = BURST) -> None:
        self._rate, self._burst = rate, burst
        self._buckets: dict[bytes, tuple[float, float]] = {}

    def allows(self, client: bytes, now: float, cost: float = 1.0) -> bool:
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
