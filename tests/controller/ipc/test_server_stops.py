"""Requests that stop the hand come first and are never refused as too many; others are limited."""

import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest
import zmq

from inhand.controller.core.requests import AnyRequest, Cancel, Disarm, Hold
from inhand.controller.ipc import intake, long_requests
from inhand.controller.ipc.protocol import decode_request
from inhand.controller.ipc.rate_limit import BURST, COST_SIZE, RATE
from inhand.controller.ipc.request_queue import QUEUE
from inhand.controller.ipc.zmtp import GREETING, encode, ready
from inhand.controller.safety.modes import Mode
from tests.controller.served import PATIENCE, Asker, Served, until_in_hand


def test_estop_overtakes_what_waits_and_is_not_undone_by_it(
    served: Served, client: Asker, context: zmq.Context[zmq.Socket[bytes]]
) -> None:
    until_in_hand(client)
    client.ask("enable")
    other = Asker(context, served.directory)
    served.halt()
    waiting = ["disable", "clear", "enable", "arm", "home"]
    for number, kind in enumerate(waiting):
        client.send(kind, id=number)
    served.until_waiting(len(waiting))
    other.send("estop")
    served.until_waiting(len(waiting), urgent=1)
    served.ticking.set()
    assert other.receive() == {"id": 1, "ok": True, "mode": "estop"}
    replies = [client.receive() for _ in waiting]
    assert [reply["id"] for reply in replies] == list(range(len(waiting)))
    assert {reply["error"]["code"] for reply in replies} == {"refused"}
    assert "emergency stop" in replies[0]["error"]["message"]
    assert client.ask("status")["mode"] == "estop"
    assert not served.bench.controller.torque
    assert client.ask("clear")["mode"] == "off"


def test_what_is_read_together_with_an_estop_does_not_undo_it(
    tmp_path: Path, context: zmq.Context[zmq.Socket[bytes]]
) -> None:
    served = Served(tmp_path)
    client = Asker(context, tmp_path)
    for kind in ("enable", "clear", "estop", "clear", "enable"):
        client.send(kind, id=kind)
    time.sleep(0.2)
    with served:
        replies = [client.receive() for _ in range(5)]
        assert sorted(reply["ok"] for reply in replies) == [False] * 4 + [True]
        assert next(reply for reply in replies if reply["ok"])["id"] == "estop"
        assert served.bench.mode == Mode.ESTOP


def test_an_estop_is_read_before_long_messages_that_came_first(
    tmp_path: Path, context: zmq.Context[zmq.Socket[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes of its own, as a library would send messages only after the handshake."""
    read: list[str] = []

    def noted(message: bytes) -> AnyRequest:
        request = decode_request(message)
        read.append(str(request.__struct_config__.tag))
        return request

    for module in (intake, long_requests):
        monkeypatch.setattr(module, "decode_request", noted)
    served = Served(tmp_path)
    goals = {"v": 1, "id": 1, "type": "goals", "goals": [{"rotation": [0.0, 0.0, 0.1]}] * 500}
    # As many connections as the server accepts in one round.
    said = [*[json.dumps(goals)] * 7, '{"v":1,"id":1,"type":"estop"}']
    lines = [socket.socket(socket.AF_UNIX) for _ in said]
    for line, message in zip(lines, said, strict=True):
        line.connect(str(tmp_path / "command.sock"))
        line.sendall(GREETING + ready(b"DEALER") + encode([message.encode()]))
    with served:
        client, deadline = Asker(context, tmp_path), time.monotonic() + PATIENCE / 1000
        while client.ask("status")["mode"] != "estop" or read.count("goals") < 7:
            assert time.monotonic() < deadline
    for line in lines:
        line.close()
    assert [kind for kind in read if kind != "status"] == ["estop", *["goals"] * 7]


def test_requests_of_a_client_stay_in_order_around_a_long_one(
    served: Served, client: Asker
) -> None:
    until_in_hand(client)
    goals = [{"rotation": [0.0, 0.0, 0.1]}] * 1000
    for number, (kind, members) in enumerate(
        [("enable", {}), ("arm", {}), ("goals", {"goals": goals}), ("cancel", {}), ("disarm", {})]
    ):
        client.send(kind, id=number, **members)
    replies = [client.receive() for _ in range(5)]
    assert [reply["id"] for reply in replies] == list(range(5))
    assert [reply.get("mode") for reply in replies][-2:] == ["ready", "holding"]


def test_too_many_requests_are_refused_not_queued(served: Served, client: Asker) -> None:
    served.halt()
    for number in range(QUEUE + 40):
        client.send("home", id=number)
    replies = {reply["id"]: reply for reply in (client.receive() for _ in range(40))}
    client.send("estop", id="estop")
    served.until_waiting(QUEUE, urgent=1)
    served.ticking.set()
    replies |= {reply["id"]: reply for reply in (client.receive() for _ in range(QUEUE + 1))}
    codes = [replies[number]["error"]["code"] for number in range(QUEUE + 40)]
    assert codes == ["refused"] * QUEUE + ["busy"] * 40
    assert replies["estop"]["mode"] == "estop"


@pytest.mark.parametrize("kind", ["hold", "disarm", "cancel"])
def test_a_stop_is_never_refused_as_too_much(served: Served, client: Asker, kind: str) -> None:
    served.halt()
    # More than may wait, even if a last tick takes some.
    for number in range(QUEUE + 20):
        client.send("home", id=number)
    # More than one client may ask in a second, and than may wait.
    flood = [f"stop {number}" for number in range(int(BURST) + QUEUE)]
    for name in flood:
        client.send(kind, id=name)
    early = 0
    while client.receive()["error"]["code"] != "busy":
        early += 1
    deadline = time.monotonic() + PATIENCE / 1000
    while len(getattr(served.server._stops.get(_class(kind)), "also", ())) < len(flood) - 1:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    served.ticking.set()
    replies = [client.receive() for _ in range(QUEUE + 19 + len(flood) - early)]
    stops = [reply for reply in replies if str(reply["id"]).startswith("stop")]
    assert sorted(reply["id"] for reply in stops) == sorted(flood)
    assert all(reply["ok"] or reply["error"]["code"] == "refused" for reply in stops)
    assert client.silent()


def _class(kind: str) -> Any:
    return {"hold": Hold, "disarm": Disarm, "cancel": Cancel}[kind]


def test_a_stop_keeps_its_place_among_other_requests(served: Served, client: Asker) -> None:
    until_in_hand(client)
    client.ask("enable")
    served.halt()
    for number, kind in enumerate(["arm", "hold", "arm", "hold", "hold", "arm"]):
        client.send(kind, id=number)
    # Stops of one kind, one after the other, wait together.
    served.until_waiting(5)
    served.ticking.set()
    replies = {reply["id"]: reply["mode"] for reply in (client.receive() for _ in range(6))}
    modes = ["ready", "holding", "ready", "holding", "holding", "ready"]
    assert [replies[number] for number in range(6)] == modes


def test_long_messages_count_for_more(served: Served, client: Asker) -> None:
    """Of 1000 goals each, a client may ask for a few, not for a thousand."""
    goals = [{"rotation": [0.1234567, 0.1234567, 0.1234567]}] * 1000
    size, began = len(json.dumps(goals)), time.monotonic()
    for number in range(60):
        client.send("goals", id=number, goals=goals)
    codes = [client.receive()["error"]["code"] for _ in range(60)]
    most = (BURST + RATE * (time.monotonic() - began)) / (size // COST_SIZE)
    assert 10 < codes.count("refused") <= most and codes.count("busy") == 60 - codes.count(
        "refused"
    )
    assert client.ask("hold")["error"]["code"] == "refused"
