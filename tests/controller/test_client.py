"""The client that comes with the daemon."""

import time
from pathlib import Path

import pytest
import zmq

from controller.client import Client
from controller.errors import ClientError, RefusedError
from tests.controller.served import Served


def test_a_goal_in_a_few_lines(tmp_path: Path) -> None:
    with Served(tmp_path), Client(tmp_path) as hand:
        events = hand.events(timeout=3)
        hand.subscribe()
        for topic, message in hand.messages(timeout=3):
            if topic == "state" and message["object"]["in_hand"]:
                break
        hand.call("enable")
        hand.call("arm")
        assert hand.call("goal", face="+x", tolerance=None)["goals"] == [1]
        kinds = [next(events)["kind"] for _ in range(4)]
        assert kinds[-1] == "goal_started"
        assert hand.status()["mode"] == "running"
        with pytest.raises(RefusedError, match="not in mode running") as refused:
            hand.call("arm")
        assert refused.value.code == "refused"


def test_listening_ends_in_time(tmp_path: Path) -> None:
    with Served(tmp_path), Client(tmp_path) as hand:
        began = time.monotonic()
        assert all("kind" in event for event in hand.events(timeout=0.2))
        assert 0.2 <= time.monotonic() - began < 1.0


def test_no_daemon(tmp_path: Path) -> None:
    with pytest.raises(ClientError, match="no daemon in"):
        Client(tmp_path)


def test_a_daemon_that_does_not_answer(tmp_path: Path) -> None:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as mute:
        mute.bind(f"ipc://{tmp_path}/command.sock")
        with (
            Client(tmp_path, timeout=0.1) as hand,
            pytest.raises(ClientError, match="still running"),
        ):
            hand.status()


def test_a_late_reply_is_no_answer_to_the_next_request(tmp_path: Path) -> None:
    with Served(tmp_path) as served, Client(tmp_path, timeout=0.2) as hand:
        served.ticking.clear()
        # The tick under way comes to its end first.
        time.sleep(0.05)
        with pytest.raises(ClientError, match="hold"):
            hand.call("hold")
        served.ticking.set()
        assert "last" in hand.call("events")


def test_a_path_too_long_for_a_socket(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 90) / ("y" * 90)
    deep.mkdir(parents=True)
    (deep / "command.sock").touch()
    with pytest.raises(ClientError, match="the daemon's socket ipc"):
        Client(deep)
