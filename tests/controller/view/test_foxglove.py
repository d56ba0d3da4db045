"""`inhand foxglove`, read by a client of Foxglove's protocol that is not its server's maker's.

The protocol: https://github.com/foxglove/ws-protocol/blob/main/docs/spec.md.
"""

import json
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from inhand.controller.errors import ConfigError
from inhand.controller.recording.foxglove_channels import schema_of
from tests.controller.bench_hand import HAND, Bench, learned
from tests.controller.view.watched import served

pytest.importorskip("foxglove")
from inhand.controller.view.foxglove_live import FoxgloveServer, Options  # noqa: E402
from tests.controller.served import UNHURRIED

WAIT = 120.0


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("foxglove")


@pytest.fixture(scope="module")
def bench(directory: Path) -> Bench:
    return Bench(learned(directory), UNHURRIED)


@pytest.fixture(scope="module")
def port(directory: Path, bench: Bench) -> Iterator[int]:
    """The port of a server with services, in front of a bench hand."""
    with served(directory, bench):
        server = FoxgloveServer(Options(command=True, directory=directory, port=0))
        server.open()
        thread = threading.Thread(target=server.run)
        thread.start()
        yield server.port
        server.end()
        thread.join()
        server.close()


def opened(port: int) -> ClientConnection:
    protocols = ["foxglove.sdk.v1", "foxglove.websocket.v1"]
    return connect(f"ws://127.0.0.1:{port}", subprotocols=protocols, max_size=None)  # type: ignore[arg-type]


def told(connection: ClientConnection, operation: str) -> dict[str, Any]:
    """The next message of this kind."""
    while True:
        message = connection.recv(timeout=WAIT)
        if isinstance(message, str) and (found := json.loads(message))["op"] == operation:
            return dict(found)


def services_of(connection: ClientConnection) -> dict[str, int]:
    """The numbers of the services by name."""
    return {one["name"]: one["id"] for one in told(connection, "advertiseServices")["services"]}


def call(connection: ClientConnection, service: int) -> bytes:
    """The reply of a service, or its failure."""
    connection.send(struct.pack("<BIII", 2, service, 7, 4) + b"json" + b"{}")
    while True:
        data = connection.recv(timeout=WAIT)
        if isinstance(data, bytes) and data[0] == 3:
            return data
        if isinstance(data, str) and json.loads(data)["op"] == "serviceCallFailure":
            return data.encode()


def test_the_channels_are_those_of_a_recording(port: int) -> None:
    with opened(port) as connection:
        channels: dict[str, dict[str, Any]] = {}
        while not {"/object", "/joints", "/servos", "/state"} <= set(channels):
            for one in told(connection, "advertise")["channels"]:
                channels[one["topic"]] = one
        for topic, channel in channels.items():
            name, schema = schema_of(topic)
            assert channel["schemaName"] == name and channel["encoding"] == "json"
            assert json.loads(channel["schema"]) == schema
        wanted = [
            {"id": number, "channelId": channels[topic]["id"]}
            for number, topic in enumerate(("/joints", "/servos", "/state", "/object"))
        ]
        connection.send(json.dumps({"op": "subscribe", "subscriptions": wanted}))
        messages: dict[int, dict[str, Any]] = {}
        while len(messages) < 4:
            data = connection.recv(timeout=WAIT)
            if isinstance(data, bytes) and data[0] == 1:
                subscription, stamp = struct.unpack_from("<IQ", data, 1)
                messages[subscription] = json.loads(data[13:])
                assert stamp > 1.7e18
        for number, topic in enumerate(("/joints", "/servos", "/state", "/object")):
            schema = schema_of(topic)[1]
            keys = set(messages[number])
            assert set(schema["required"]) <= keys <= set(schema["properties"]), topic
        assert [one["name"] for one in messages[0]["joints"]] == list(HAND.joint_names)


def test_a_request_is_a_service(port: int) -> None:
    with opened(port) as connection:
        services = services_of(connection)
        assert "/shutdown" not in services
        enabled = call(connection, services["/enable"])
        assert json.loads(enabled[17:])["mode"] == "holding"
        assert json.loads(call(connection, services["/disable"])[17:])["mode"] == "off"
        # A refusal has the daemon's own words.
        assert b"refused: disarm" in call(connection, services["/disarm"])


def test_terms_of_the_next_goals_are_parameters(port: int, bench: Bench) -> None:
    def parameters(connection: ClientConnection) -> dict[str, Any]:
        found = told(connection, "parameterValues")["parameters"]
        return {one["name"]: one.get("value") for one in found}

    with opened(port) as connection:
        services = services_of(connection)
        ask = {"op": "getParameters", "parameterNames": [], "id": "all"}
        every: dict[str, Any] = {"mode": ""}
        # Foxglove may ask before the first state came; changes of some are told, too.
        while not every.get("mode") or "policy" not in every:
            connection.send(json.dumps(ask))
            every = parameters(connection)
        assert every["mode"] in ("off", "holding") and every["policy"] == "tiny.onnx"
        given = [
            {"name": "goal.tolerance_rad", "value": 0.25},
            {"name": "goal.timeout_s", "value": "soon"},
            {"name": "mode", "value": "running"},
        ]
        connection.send(json.dumps({"op": "setParameters", "parameters": given, "id": "set"}))
        while "goal.tolerance_rad" not in (after := parameters(connection)):
            pass
        # What is no number, or is told by the daemon, stays.
        assert after["goal.tolerance_rad"] == 0.25 and after["mode"] == every["mode"]
        assert after.get("goal.timeout_s") is None
        call(connection, services["/enable"])
        while b"mode" not in call(connection, services["/arm"])[17:]:
            pass
        call(connection, services["/random_goals"])
        goal = bench.controller.snapshot().goal
        assert goal is not None and goal.tolerance == 0.25
        call(connection, services["/disarm"])
        assert json.loads(call(connection, services["/disable"])[17:])["mode"] == "off"


def test_watching_only_offers_no_service(tmp_path: Path) -> None:
    server = FoxgloveServer(Options(directory=tmp_path, port=0))
    server.open()
    try:
        with opened(server.port) as connection:
            info = told(connection, "serverInfo")
            assert "services" not in info["capabilities"]
            assert "clientPublish" not in info["capabilities"]
    finally:
        server.close()


def test_a_port_in_use_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = FoxgloveServer(Options(port=taken.getsockname()[1]))
        with pytest.raises(ConfigError, match="another one with --port"):
            server.open()


@pytest.mark.parametrize("port", [-5, 70_000])
def test_a_port_that_does_not_exist_is_one_sentence(port: int) -> None:
    with pytest.raises(ConfigError, match="another one with --port"):
        FoxgloveServer(Options(port=port)).open()
