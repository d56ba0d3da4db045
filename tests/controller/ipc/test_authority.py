"""One program at a time commands the hand; without any, a running hand stops."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import zmq

from inhand.controller.ipc.authority import Sender
from inhand.controller.ipc.protocol import decode_request
from inhand.controller.ipc.request_queue import PendingRequest
from inhand.controller.safety.modes import Mode
from tests.controller.looped import Looped
from tests.controller.served import Asker, Served

ONE, OTHER = Sender(1, "program 1"), Sender("laptop", "key laptop")

PROGRAM = """
import sys
from inhand.controller.client.sync import Client
with Client(sys.argv[1]) as client:
    client.status()
    print("connected", flush=True)
    sys.stdin.read()
"""


class Shared:
    """A looped hand with two programs."""

    def __init__(self, directory: Path) -> None:
        self.looped = Looped(directory)
        self.connected = {ONE.key, OTHER.key}
        self.alone = 0.0
        loop = self.looped.loop
        loop.requests.authority._connected = lambda sender: sender.key in self.connected
        loop._unattended = lambda: self.alone

    def ask(self, sender: Sender, type: str, **members: object) -> dict[str, Any]:
        message = json.dumps({"v": 1, "id": 1, "type": type, **members}).encode()
        request = decode_request(message)
        assert self.looped.request_queue.post(PendingRequest([b"x"], request, sender=sender))
        (reply,) = self.looped.run()
        return reply

    def refusal(self, sender: Sender, type: str, **members: object) -> str:
        reply = self.ask(sender, type, **members)
        assert not reply["ok"], reply
        assert reply["error"]["code"] == "not_in_control"
        return str(reply["error"]["message"])

    @property
    def changes(self) -> list[tuple[str | None, str | None]]:
        events = [event.data for event in self.looped.events if event.kind == "control"]
        return [(data["before"], data["holder"]) for data in events]


@pytest.fixture
def shared(tmp_path: Path) -> Shared:
    shared = Shared(tmp_path)
    shared.looped.run(30)
    return shared


def test_joints_are_moved_by_one_program_only(shared: Shared) -> None:
    name = shared.looped.controller.hand.actuator_names[0]
    assert shared.ask(ONE, "enable")["ok"] and shared.ask(ONE, "manual")["ok"]
    for kind, members in (
        ("manual", {}),
        ("joints", {"positions": {name: 0.0}}),
        ("trajectory", {"joints": [name], "times": [1.0], "positions": [[0.0]]}),
    ):
        assert "program 1 is in control" in shared.refusal(OTHER, kind, **members)
    assert shared.looped.controller.mode == Mode.MANUAL
    assert shared.ask(OTHER, "hold")["mode"] == "holding"


def test_one_program_commands_and_the_other_may_stop_it(shared: Shared) -> None:
    for kind in ("enable", "arm", "random_goals"):
        assert shared.ask(ONE, kind)["ok"]
    for kind in ("arm", "random_goals", "home", "enable", "shutdown"):
        assert "program 1 is in control" in shared.refusal(OTHER, kind)
    assert shared.looped.controller.mode == Mode.RUNNING
    assert shared.ask(OTHER, "hold")["mode"] == "holding"
    assert "program 1" in shared.refusal(OTHER, "disable")
    assert shared.ask(OTHER, "estop")["mode"] == "estop"
    assert shared.ask(OTHER, "clear")["ok"]
    assert shared.ask(OTHER, "enable")["ok"], "control ends when the hand is stopped"
    assert shared.changes == [
        (None, "program 1"),
        ("program 1", None),
        (None, "key laptop"),
    ]


def test_a_take_over_is_told_and_lasts(shared: Shared) -> None:
    shared.ask(ONE, "enable")
    assert shared.ask(OTHER, "control")["control"] == "key laptop"
    assert "key laptop is in control" in shared.refusal(ONE, "home")
    shared.ask(OTHER, "control", action="release")
    assert "key laptop took control" in shared.refusal(ONE, "home"), "not by asking again"
    assert shared.ask(ONE, "control", action="take")["control"] == "program 1"
    assert shared.ask(ONE, "home")["ok"]
    assert shared.changes[-3:] == [
        ("program 1", "key laptop"),
        ("key laptop", None),
        (None, "program 1"),
    ]


def test_a_program_that_has_ended_is_not_in_control(shared: Shared) -> None:
    shared.ask(ONE, "enable")
    shared.connected.discard(ONE.key)
    assert shared.ask(OTHER, "home")["ok"]


def test_refused_requests_are_not_in_the_recording(shared: Shared) -> None:
    shared.ask(ONE, "enable")
    shared.refusal(OTHER, "disable")
    shared.ask(OTHER, "control")
    asked = [one.request for record in shared.looped.records for one in record.inputs.requests]
    assert [type(one).__name__ for one in asked] == ["Enable"]


def test_a_running_hand_stops_without_an_operator(shared: Shared) -> None:
    for kind in ("enable", "arm", "random_goals"):
        assert shared.ask(ONE, kind)["ok"]
    shared.alone = 59.0
    shared.looped.run(2)
    assert shared.looped.controller.mode == Mode.RUNNING
    shared.alone = 61.0
    shared.looped.run(2)
    assert shared.looped.controller.mode == Mode.HOLDING
    (told,) = [e for e in shared.looped.events if e.data.get("cause") == "operator_lost"]
    assert "60 s" in told.data["reason"]
    happened = [one for record in shared.looped.records for one in record.inputs.happenings]
    assert [name for name, _ in happened] == ["operator_lost"]


def test_attendance_counts_programs_not_connections(
    tmp_path: Path, context: zmq.Context[zmq.Socket[bytes]]
) -> None:
    with Served(tmp_path) as served:
        attendance = served.server.attendance
        mine = Asker(context, tmp_path)
        assert mine.ask("status")["ok"]
        assert attendance.unattended() == 0.0
        command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
            assert program.stdout is not None
            assert program.stdout.readline() == b"connected\n"
            sender = Sender(program.pid, "it")
            assert attendance.connected(sender)
            mine.socket.close(linger=0)
            program.communicate()
        deadline = time.monotonic() + 120
        while attendance.connected(sender) or not attendance.unattended():
            assert time.monotonic() < deadline
            time.sleep(0.01)
