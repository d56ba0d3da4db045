"""The rate limit of one client; a client above it does not affect the others."""

from pathlib import Path

import zmq

from inhand.controller.ipc.rate_limit import BURST, RateLimit
from tests.controller.served import Asker, Served


def test_a_burst_and_then_a_steady_rate() -> None:
    limit = RateLimit(rate=10.0, burst=5.0)
    assert [limit.allows(b"a", 0.0) for _ in range(6)] == [True] * 5 + [False]
    assert not limit.allows(b"a", 0.09)
    assert limit.allows(b"a", 0.11) and not limit.allows(b"a", 0.12)
    assert limit.allows(b"b", 0.12), "each client has its own"
    assert [limit.allows(b"a", 99.0) for _ in range(6)] == [True] * 5 + [False]


def test_idle_clients_are_removed() -> None:
    limit = RateLimit(rate=10.0, burst=5.0)
    for number in range(5000):
        limit.allows(str(number).encode(), number * 1e-5)
    assert len(limit._buckets) <= 256
    limit.allows(b"new", 10.0)
    limit.allows(b"newer", 10.0)
    assert len(limit._buckets) <= 256


def test_a_flood_is_refused_and_does_not_affect_other_clients(
    tmp_path: Path,
    context: "zmq.Context[zmq.Socket[bytes]]",
) -> None:
    with Served(tmp_path) as served:
        flood, other = (Asker(context, served.directory) for _ in range(2))
        excess = 500
        for number in range(int(BURST) + excess):
            flood.send("events", id=number, since=10**6)
        assert other.ask("events", id="other")["ok"]
        replies = [flood.receive() for _ in range(int(BURST) + excess)]
        refused = [reply for reply in replies if not reply["ok"]]
        assert refused and {reply["error"]["code"] for reply in refused} == {"busy"}
        assert "more than 500 requests" in refused[0]["error"]["message"]
        # An emergency stop is never refused.
        assert flood.ask("estop")["mode"] == "estop"
