"""Two clients command one hand: the last request counts, and both see all events."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from inhand.controller.client.sync import Client
from inhand.controller.errors import RefusedError
from tests.controller.served import Served


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Client, Client]]:
    with (
        Served(tmp_path),
        Client(tmp_path, timeout=120) as one,
        Client(tmp_path, timeout=120) as other,
    ):
        one.subscribe()
        for topic, message in one.messages(timeout=120):
            if topic == "state" and message["object"]["in_hand"]:
                break
        one.call("enable")
        one.call("arm")
        yield one, other


def test_the_last_goal_counts_and_both_see_it(pair: tuple[Client, Client]) -> None:
    one, other = pair
    assert one.call("goal", face="+x")["goals"] == [1]
    assert other.call("goal", face="-x", replace=True)["goals"] == [2]
    for hand in pair:
        status = hand.status()
        assert (status["goal"]["number"], status["waiting"]) == (2, 0)
    for hand in pair:
        deadline = time.monotonic() + 120
        while started(hand) != [1, 2]:
            # An event follows the state in which it shows.
            assert time.monotonic() < deadline


def started(hand: Client) -> list[int]:
    """The goals that began, from the events that one client received."""
    events = hand.call("events")["events"]
    return [event["goal"] for event in events if event["kind"] == "goal_started"]


def test_a_client_that_continues_after_the_other_stopped_is_refused(
    pair: tuple[Client, Client],
) -> None:
    one, other = pair
    one.call("random_goals", count=3, seed=1)
    assert other.call("hold")["mode"] == "holding"
    with pytest.raises(RefusedError, match="not in mode holding; possible now"):
        one.call("goal", face="+x")
    assert other.call("estop")["mode"] == "estop"
    with pytest.raises(RefusedError, match="not in mode estop; possible now"):
        one.call("arm")
