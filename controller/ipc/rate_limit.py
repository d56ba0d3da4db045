"""How much each client may ask: a bucket of tokens that fills steadily."""

RATE = 500.0
"""Requests a second that one client may go on making."""
BURST = 1000.0
"""Requests that it may make at once."""

_REMEMBERED = 256


class RateLimit:
    """One bucket a client; those of clients that fell silent are forgotten when there are many."""

    def __init__(self, rate: float = RATE, burst: float = BURST) -> None:
        self._rate, self._burst = rate, burst
        self._buckets: dict[bytes, tuple[float, float]] = {}

    def allows(self, client: bytes, now: float, cost: float = 1.0) -> bool:
        """Whether the client may make one more request at this time [s]; if so, counts it.

        Args:
            client: who asks.
            now: the present [s].
            cost: how many small requests this one is as much work as.
        """
        if client not in self._buckets and len(self._buckets) >= _REMEMBERED:
            self._forget(now)
        tokens, since = self._buckets.get(client, (self._burst, now))
        tokens = min(self._burst, tokens + self._rate * (now - since))
        allowed = tokens >= cost
        self._buckets[client] = tokens - (cost if allowed else 0.0), now
        return allowed

    def _forget(self, now: float) -> None:
        """Drops full buckets, which say nothing, and if there are none, the longest unused."""
        refill = self._burst / self._rate
        self._buckets = {c: b for c, b in self._buckets.items() if now - b[1] < refill}
        if len(self._buckets) >= _REMEMBERED:
            del self._buckets[min(self._buckets, key=lambda client: self._buckets[client][1])]
