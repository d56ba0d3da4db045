"""`inhand rest`, used by node and by a client of another project."""

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from inhand.controller.errors import ConfigError
from inhand.perception.parent import environment
from tests.controller.served import Served

httpx = pytest.importorskip("httpx")
pytest.importorskip("starlette")
from inhand.controller.view.rest import TOKEN, Options, Rest, listen, new_token  # noqa: E402

ROOT = Path(__file__).parents[3]
HTTP = httpx.Client(timeout=120)
SECRET = "a token for this test only"
HEAD = {"Authorization": f"Bearer {SECRET}"}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that serves all requests of a bench hand."""
    directory = tmp_path_factory.mktemp("rest")
    command = [sys.executable, "-m", "inhand", "rest", "--command", "--port", "0"]
    with Served(directory):
        process = subprocess.Popen(
            [*command, "--directory", str(directory)],
            stdout=subprocess.PIPE,
            text=True,
            env={**environment(), TOKEN: SECRET},
        )
        assert process.stdout is not None
        yield process.stdout.readline().removeprefix("rest: ").strip()
        process.terminate()
        process.communicate(timeout=120)


def until_in_hand(address: str) -> None:
    while not HTTP.get(f"{address}/status", headers=HEAD).json()["object"]["in_hand"]:
        pass


def test_requests_and_refusals_are_those_of_the_protocol(address: str) -> None:
    until_in_hand(address)
    assert HTTP.post(f"{address}/enable", headers=HEAD).json() == {"ok": True, "mode": "holding"}
    refused = HTTP.post(f"{address}/goal", headers=HEAD, json={"face": "+x"})
    assert refused.status_code == 409 and refused.json()["error"]["code"] == "refused"
    wrong = HTTP.post(f"{address}/goal", headers=HEAD, json={"face": 1})
    assert wrong.status_code == 400 and wrong.json()["error"]["code"] == "invalid"
    for body in (b"[", b"[1]", b'{"type":"shutdown"}', b"\xff"):
        assert HTTP.post(f"{address}/hold", headers=HEAD, content=body).status_code == 400
    large = HTTP.post(f"{address}/hold", headers=HEAD, content=b" " * 70_000)
    assert large.status_code == 413
    assert HTTP.get(f"{address}/events?since=0", headers=HEAD).json()["last"] > 0
    assert HTTP.get(f"{address}/events?since=x", headers=HEAD).status_code == 400
    assert HTTP.post(f"{address}/shutdown", headers=HEAD).status_code == 404
    assert HTTP.post(f"{address}/disable", headers=HEAD).json()["mode"] == "off"


def test_without_the_token_nothing_is_served(address: str) -> None:
    for headers in ({}, {"Authorization": "Bearer no"}, {"Authorization": SECRET[:-1]}):
        assert HTTP.post(f"{address}/estop", headers=headers).status_code == 401
        assert HTTP.get(f"{address}/status?token={SECRET}", headers=headers).status_code == 401
    with pytest.raises(InvalidStatus):
        connect(f"{address.replace('http', 'ws')}/messages?token=no")


def test_states_come_over_a_websocket(address: str) -> None:
    where = f"{address.replace('http', 'ws')}/messages"
    with connect(f"{where}?token={SECRET.replace(' ', '%20')}") as connection:
        message = json.loads(connection.recv(timeout=120))
    assert message["topic"] == "state" and message["message"]["mode"]


def test_the_description_names_each_request_with_its_bounds(address: str) -> None:
    told = HTTP.get(f"{address}/openapi.json").json()
    assert told["openapi"] == "3.1.0" and "/shutdown" not in told["paths"]
    for path, methods in told["paths"].items():
        for method, operation in methods.items():
            answer = HTTP.request(method, f"{address}{path}")
            assert answer.status_code == 401, path
            assert operation["operationId"] == path.strip("/")
    goal = told["components"]["schemas"]["Goal"]
    assert "face" in goal["properties"] and "id" not in goal["properties"]


def test_a_script_in_javascript_sends_a_goal(address: str) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node")
    until_in_hand(address)
    command = [node, str(ROOT / "examples/goal.mjs"), address, SECRET, "+x"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    lines = ended.stdout.splitlines()
    assert lines == ["enable holding", "arm ready", "goal 1 running"], ended.stderr
    HTTP.post(f"{address}/hold", headers=HEAD)
    HTTP.post(f"{address}/disable", headers=HEAD)


def test_without_command_only_watching_and_stopping(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Rest(Options(), SECRET).requests() == ("status", "events", "estop")
    monkeypatch.setenv(TOKEN, "short")
    with pytest.raises(ConfigError, match="has 5 characters"):
        new_token()


def test_a_port_in_use_is_one_sentence() -> None:
    taken = socket.create_server(("127.0.0.1", 0))
    with taken, pytest.raises(ConfigError, match="another one with --port"):
        listen("127.0.0.1", taken.getsockname()[1])
