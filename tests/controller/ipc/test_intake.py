"""The order in which requests are read: clients that ask for too much delay nobody."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from inhand.controller.core.requests import Goals
from inhand.controller.ipc.intake import Intake
from inhand.controller.ipc.rate_limit import BURST
from inhand.controller.ipc.sockets import bind
from inhand.controller.ipc.zmtp import GREETING, encode, ready

FLOOD = int(BURST) + 300


@pytest.fixture
def intake(tmp_path: Path) -> Iterator[Intake]:
    commands, states = bind(tmp_path)
    intake = Intake(commands, lambda process: True, lambda: None)
    intake.start()
    yield intake
    intake.close()
    states.close()


def client(place: Path, *requests: dict[str, object]) -> socket.socket:
    """A client that has sent requests."""
    line = socket.socket(socket.AF_UNIX)
    line.connect(str(place / "command.sock"))
    messages = [encode([json.dumps({"v": 1, **request}).encode()]) for request in requests]
    line.sendall(GREETING + ready(b"DEALER") + b"".join(messages))
    return line


def test_a_flood_is_read_after_everybody_else_and_each_request_once(
    intake: Intake, tmp_path: Path
) -> None:
    # Another time limit than that of the rate would make the test depend on the machine's speed.
    flood = client(tmp_path, *[{"id": n, "type": "events", "since": 2**31} for n in range(FLOOD)])
    ids, rounds, quick = [], 0, 0
    while len(ids) < FLOOD:
        intake.receive()
        orderly, apart = list(intake.orderly()), list(intake.apart())
        ids += [one.request.id for one in (*orderly, *apart)]
        quick += len(orderly)
        rounds += 1
    assert ids == list(range(FLOOD))
    # In the burst that each client has, and in the messages that were received together with it.
    assert BURST <= quick < FLOOD - 100
    flood.sendall(encode([b'{"v":1,"id":1,"type":"status"}']))
    with client(tmp_path, {"id": "other", "type": "status"}):
        seen: list[object] = []
        while "other" not in seen:
            intake.receive()
            seen += [one.request.id for one in intake.orderly()]
        assert seen == ["other"]
    flood.close()


def test_a_long_request_is_decoded_while_others_are_read(intake: Intake, tmp_path: Path) -> None:
    goals = [{"rotation": [0.0, 0.0, 0.1]}] * 1000
    long = {"id": "long", "type": "goals", "goals": goals}
    one = client(tmp_path, long, {"id": "after it", "type": "status"})
    two = client(tmp_path, {"id": "other", "type": "status"})
    orderly, apart = [], []
    while len(orderly) + len(apart) < 3:
        intake.receive()
        orderly += list(intake.orderly())
        apart += list(intake.apart())
    assert [received.request.id for received in orderly] == ["other"]
    assert [received.request.id for received in apart] == ["long", "after it"]
    assert isinstance(apart[0].request, Goals)
    one.close()
    two.close()
