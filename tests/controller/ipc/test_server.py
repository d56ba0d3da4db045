"""The command and state sockets over real ipc: one reply each, estop first, numbered events."""

import json
import os
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import zmq

from inhand.controller.core.interfaces import PolicyRunner
from inhand.controller.core.records import Event
from inhand.controller.errors import PolicyError, StartError
from inhand.controller.ipc.sockets import bind
from inhand.controller.ipc.telemetry import EVENTS_KEPT, EventLog
from inhand.controller.system.paths import socket_address
from tests.controller.bench_hand import learned
from tests.controller.ipc.test_protocol import EXAMPLES
from tests.controller.served import PATIENCE, Asker, Served, until_in_hand


def subscribe(context: zmq.Context[zmq.Socket[bytes]], directory: Path) -> zmq.Socket[bytes]:
    socket = context.socket(zmq.SUB)
    socket.set(zmq.SUBSCRIBE, b"")
    socket.connect(socket_address(directory, "state"))
    assert socket.poll(PATIENCE)
    return socket


@pytest.mark.parametrize("kind", [zmq.DEALER, zmq.REQ])
def test_each_request_gets_exactly_one_reply(
    served: Served, context: zmq.Context[zmq.Socket[bytes]], kind: int
) -> None:
    asker = Asker(context, served.directory, kind)
    for number, example in enumerate(EXAMPLES):
        reply = asker.ask(id=number, **example)
        assert reply["id"] == number
        assert set(reply) == {"id", "ok", "error"} or reply["ok"]
        if not reply["ok"]:
            assert set(reply["error"]) == {"code", "message"}
    assert asker.silent()


def test_from_start_to_a_goal(served: Served, client: Asker) -> None:
    until_in_hand(client)
    assert client.ask("enable") == {"id": 1, "ok": True, "mode": "holding"}
    assert client.ask("arm")["mode"] == "ready"
    assert client.ask("goal", rotation=[0, 0, 3])["goals"] == [1]
    assert client.ask("random_goals", count=3, seed=5)["goals"] == [2, 3, 4]
    status = client.ask("status")
    assert status["mode"] == "running" and status["waiting"] == 3
    assert client.ask("cancel")["forgotten"] == 4
    assert client.ask("load_policy", policy="tiny")["ok"] is False
    assert client.ask("disarm")["mode"] == "holding"
    loaded = client.ask("load_policy", policy="tiny")
    assert loaded["policy"] == "tiny.onnx" and len(loaded["sha256"]) == 64
    assert client.ask("disable")["mode"] == "off"
    assert client.ask("home")["error"]["code"] == "refused"


def test_malformed_messages_are_answered_and_affect_no_other_client(
    served: Served, client: Asker, context: zmq.Context[zmq.Socket[bytes]]
) -> None:
    for frames in ([b"{"], [b""], [b"", b""], [b"a", b"b"], [b"", b"{}", b"{}"], [b"x" * 70_000]):
        client.socket.send_multipart(frames)
        assert client.socket.poll(PATIENCE), frames
        reply = json.loads(client.socket.recv_multipart()[-1])
        assert reply["error"]["code"] in ("malformed", "version", "too_large")
    assert client.silent()
    # Above a megabyte that client, and no other, is disconnected.
    rude = Asker(context, served.directory)
    rude.socket.send(b"x" * (2 << 20))
    assert rude.silent()
    assert client.ask("status")["ok"]


def test_the_same_message_twice_gets_two_replies(client: Asker) -> None:
    client.send("events", id="same")
    client.send("events", id="same")
    assert client.receive()["id"] == client.receive()["id"] == "same"
    assert client.silent()


def test_two_clients_get_their_own_replies(
    served: Served, context: zmq.Context[zmq.Socket[bytes]]
) -> None:
    clients = [Asker(context, served.directory) for _ in range(2)]
    for number in range(300):
        for name, client in enumerate(clients):
            client.send("events", id=f"{name}-{number}")
    for name, client in enumerate(clients):
        replies = [client.receive()["id"] for _ in range(300)]
        assert replies == [f"{name}-{number}" for number in range(300)]
        assert client.silent()


def test_state_and_events_are_numbered(
    served: Served, client: Asker, context: zmq.Context[zmq.Socket[bytes]]
) -> None:
    socket = subscribe(context, served.directory)
    client.ask("enable")
    client.ask("disable")
    numbers: defaultdict[bytes, list[int]] = defaultdict(list)
    times = []
    began, deadline = time.monotonic(), time.monotonic() + PATIENCE / 1000
    while len(numbers[b"state"]) < 8 or len(numbers[b"event"]) < 2:
        assert time.monotonic() < deadline
        if socket.poll(50):
            topic, message = socket.recv_multipart()
            news = json.loads(message)
            numbers[topic].append(news["n"])
            if topic == b"state":
                times.append(news["t"])
    for counted in numbers.values():
        assert counted == list(range(counted[0], counted[0] + len(counted)))
    # 20 a second, one of which may have been under way.
    assert len(numbers[b"state"]) <= 27 * (time.monotonic() - began) + 2
    assert times == sorted(times)


def test_the_description_is_published_once_a_second(
    served: Served, context: zmq.Context[zmq.Socket[bytes]]
) -> None:
    socket = subscribe(context, served.directory)
    told: dict[bytes, Any] = {}
    while not {b"description", b"statistics"} <= told.keys():
        assert socket.poll(PATIENCE)
        topic, message = socket.recv_multipart()
        told[topic] = json.loads(message)
    assert told[b"description"]["v"] == 1
    assert told[b"description"]["n"] >= 1 and told[b"statistics"]["n"] >= 1


def test_events_fill_a_gap(served: Served, client: Asker) -> None:
    until_in_hand(client)
    client.ask("enable")
    client.ask("disable")
    # The event of a request is sent directly after its reply.
    time.sleep(0.05)
    everything = client.ask("events")
    kinds = [(event["n"], event["kind"]) for event in everything["events"]]
    assert kinds == [(1, "object_in_hand"), (2, "mode"), (3, "mode")] and everything["last"] == 3
    mode = everything["events"][1]
    assert (mode["before"], mode["after"], mode["cause"]) == ("off", "holding", "enable")
    assert [event["n"] for event in client.ask("events", since=2)["events"]] == [3]
    assert client.ask("events", since=99)["events"] == []


def test_only_so_many_events_are_kept() -> None:
    log = EventLog()
    for _ in range(EVENTS_KEPT + 5):
        log.add(Event(0.0, "pose_old"))
    assert [event["n"] for event in log.since(0)][:2] == [6, 7]
    assert len(log.since(EVENTS_KEPT)) == 5


def test_status_before_the_first_tick(
    tmp_path: Path, context: zmq.Context[zmq.Socket[bytes]]
) -> None:
    served = Served(tmp_path)
    served.ticking.clear()
    with served:
        client = Asker(context, tmp_path)
        assert client.ask("status") == {"id": 1, "ok": True, "mode": "starting"}


def test_policies_that_cannot_be_loaded(served: Served, client: Asker) -> None:
    error = client.ask("load_policy", policy="no\nsuch")["error"]
    assert error["code"] == "policy"
    assert "no such file" in error["message"] and "tiny.onnx" in error["message"]
    (served.directory / "garbage.onnx").write_bytes(b"garbage")
    assert client.ask("load_policy", policy="garbage")["error"]["code"] == "policy"
    (served.directory / "gone.onnx").symlink_to("nowhere")
    assert client.ask("load_policy", policy="0" * 8)["error"]["code"] == "policy"


def test_one_policy_is_loaded_at_a_time(
    tmp_path: Path, context: zmq.Context[zmq.Socket[bytes]]
) -> None:
    go_on = threading.Event()

    def slow(name: str) -> PolicyRunner:
        go_on.wait(120)
        if name == "bad":
            raise PolicyError("bad")
        return learned(tmp_path)

    with Served(tmp_path, load=slow) as served:
        client = Asker(context, served.directory)
        client.send("load_policy", id="first", policy="good")
        client.send("load_policy", id="second", policy="good")
        assert client.receive()["error"]["code"] == "busy"
        # Meanwhile everything else is answered.
        assert client.ask("estop")["mode"] == "estop"
        go_on.set()
        assert client.receive()["id"] == "first"
        assert client.ask("load_policy", policy="bad")["error"]["code"] == "policy"
        assert client.ask("load_policy", policy="good")["ok"]


def test_a_server_that_fails_ends_the_daemon(
    tmp_path: Path, context: zmq.Context[zmq.Socket[bytes]]
) -> None:
    def broken() -> object:
        raise RuntimeError("a defect")

    with Served(tmp_path) as served:
        served.request_queue.collect = broken  # type: ignore[method-assign,assignment]
        client = Asker(context, served.directory)
        deadline = time.monotonic() + 120
        while not served.failures:
            assert time.monotonic() < deadline
            client.send("status")
            time.sleep(0.05)
    assert served.failures == ["the command socket failed: RuntimeError('a defect')"]


def test_a_socket_that_cannot_be_created(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="short path"):
        bind(tmp_path / ("x" * 120))


def test_a_policy_that_cannot_be_read_is_answered(
    tmp_path: Path, context: zmq.Context[zmq.Socket[bytes]]
) -> None:
    def broken(name: str) -> PolicyRunner:
        raise ValueError("embedded null byte")

    with Served(tmp_path, load=broken) as served:
        client = Asker(context, served.directory)
        for _ in range(2):
            error = client.ask("load_policy", policy="a\0b")["error"]
            assert error["code"] == "policy" and "null byte" in error["message"]


def test_names_that_are_no_unicode_do_not_end_the_server(served: Served, client: Asker) -> None:
    (served.directory / os.fsdecode(b"\xff.onnx")).write_bytes(b"")
    error = client.ask("load_policy", policy="no")["error"]
    assert "there are: tiny.onnx, ?.onnx" in error["message"]
    assert client.ask("status")["ok"] and not served.failures
