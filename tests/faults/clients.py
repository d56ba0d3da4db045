"""Faults of clients: too many or malformed requests, replayed sessions, unknown keys."""

import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress

import msgspec
import pytest
import zmq

from inhand.controller.client.sync import Client
from inhand.controller.errors import ClientError, RefusedError
from inhand.controller.ipc.keys import load_client_key
from inhand.controller.ipc.zmtp import GREETING, encode, ready
from tests.controller.ipc.test_gateway import relay
from tests.faults.acts import Act
from tests.faults.station import Station


def flood(station: Station) -> None:
    """Ten thousand requests a second for a second, from a client of its own."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    flood = context.socket(zmq.DEALER)
    flood.set(zmq.LINGER, 0)
    flood.connect(f"ipc://{station.directory}/run/command.sock")
    over = threading.Event()

    def swallow() -> None:
        while not over.is_set():
            if flood.poll(20):
                with suppress(zmq.Again):
                    flood.recv(zmq.NOBLOCK)

    message = msgspec.json.encode({"v": 1, "id": 1, "type": "events", "since": 2**31})
    begin = time.monotonic()
    for number in range(10_000):
        with suppress(zmq.Again):
            flood.send(message, zmq.NOBLOCK)
        if number % 100 == 0:
            time.sleep(max(0.0, begin + number / 10_000 - time.monotonic()))
    over.set()
    context.destroy(linger=0)


def half_messages(station: Station) -> None:
    """Beginnings of messages from clients that then hang up, and from some that do not."""
    path = f"{station.directory}/run/command.sock"
    kept = []
    for number in range(40):
        raw = socket.socket(socket.AF_UNIX)
        raw.connect(path)
        # The greeting of ZMTP 3, a handshake that is cut off, and plain noise.
        greeting = b"\xff" + b"\0" * 8 + b"\x7f\x03\0NULL" + b"\0" * 48
        with suppress(OSError):
            raw.sendall([greeting, greeting + b"\x04\x19\x05READY", os.urandom(2000)][number % 3])
        kept.append(raw)
    for raw in kept[::2]:
        raw.close()
    time.sleep(0.3)
    for raw in kept[1::2]:
        raw.close()


def silent_connections(station: Station) -> None:
    """A thousand connections to each socket that say nothing, from another program."""
    program = (
        "import resource, socket, sys\n"
        "hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))\n"
        "kept = []\n"
        "for path in sys.argv[1:]:\n"
        "    for _ in range(1000):\n"
        "        kept.append(socket.socket(socket.AF_UNIX))\n"
        "        kept[-1].connect(path)\n"
    )
    paths = [f"{station.directory}/run/{name}.sock" for name in ("command", "state")]
    subprocess.run([sys.executable, "-c", program, *paths], check=True, timeout=60)


def unread_replies(station: Station) -> None:
    """A client that asks for all events 1500 times and reads no reply."""
    message = msgspec.json.encode({"v": 1, "id": 1, "type": "events"})
    line = socket.socket(socket.AF_UNIX)
    line.connect(f"{station.directory}/run/command.sock")
    line.sendall(GREETING + ready(b"DEALER") + 1500 * encode([message]))
    time.sleep(0.5)
    line.close()


def endless_message(station: Station) -> None:
    """A message of a hundred megabytes, in frames of 60 kB."""
    frame = b"\x03" + (60_000).to_bytes(8, "big") + bytes(60_000)
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(f"{station.directory}/run/command.sock")
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            _pour(line, frame, 1700)


def _pour(line: socket.socket, frame: bytes, times: int) -> None:
    """Sends a frame again and again; piece by piece, as the servos answer from this process."""
    line.sendall(GREETING + ready(b"DEALER"))
    for _ in range(times):
        line.sendall(frame)


def record_storm(station: Station) -> None:
    """Requests to record, as many as a client may send, for a second."""
    end = time.monotonic() + 1.0
    while time.monotonic() < end:
        for action in ("start", "stop", "save"):
            with suppress(RefusedError):
                station.hand.call("record", action=action)


def huge_message(station: Station) -> None:
    station.rude.communicate(b"now\n", timeout=60)
    assert station.rude.returncode == 0


def refused(code: str, request: str, **members: object) -> Act:
    """A request that must be refused, over a connection of its own."""

    def act(station: Station) -> None:
        with pytest.raises(RefusedError) as refused:
            station.hand.call(request, **members)
        assert refused.value.code == code

    return act


def wrong_policy(station: Station) -> None:
    """Files that are not on the list, by name and by digest, and one that is no policy."""
    store = station.directory / "policies"
    (store / "stranger.onnx").write_bytes((store / "none.onnx").read_bytes() + b"\0")
    (store / "garbage.onnx").write_bytes(b"garbage")
    (store / "outside.onnx").symlink_to(station.directory / "inhandd.toml")
    for name in ("stranger", "garbage", "outside", "../inhandd.toml", "0" * 8):
        refused("policy", "load_policy", policy=name)(station)


def unknown_key(station: Station) -> None:
    public, secret = (half.decode() for half in zmq.curve_keypair())
    key = load_client_key(station.directory / "commander")
    forged = msgspec.structs.replace(key, public=public, secret=secret)
    text = "".join(f"{k} = '{v}'\n" for k, v in msgspec.structs.asdict(forged).items())
    (station.directory / "stranger").write_text(text)
    with (
        Client(key=station.directory / "stranger", timeout=1.0) as client,
        pytest.raises(ClientError, match="did not answer"),
    ):
        client.call("estop")


def wrong_role(station: Station) -> None:
    with Client(key=station.directory / "observer", timeout=10.0) as client:
        assert client.status()["mode"] == "running"
        for request in ("disarm", "hold", "shutdown"):
            with pytest.raises(RefusedError, match="may send only status"):
                client.call(request)


def replay(station: Station) -> None:
    """The bytes of a session in which a goal was asked for, once more."""
    key = load_client_key(station.directory / "commander")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        detour = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        members = msgspec.structs.asdict(msgspec.structs.replace(key, command=detour))
        text = "".join(f"{name} = '{value}'\n" for name, value in members.items())
        (station.directory / "detour").write_text(text)
        # The program with the key commands meanwhile.
        station.hand.call("control", action="release")
        with Client(key=station.directory / "detour", timeout=10.0) as client:
            client._commands.send(b'{"v":1,"id":1,"type":"goal","face":"-x","tolerance":0.01}')
            near, _ = listener.accept()
            far = socket.create_connection(("127.0.0.1", station.ports[0]))
            recorded = relay(near, far, lambda: bool(client._commands.poll(0)))
            assert msgspec.json.decode(client._commands.recv())["ok"]
    for end in (near, far):
        end.close()
    station.hand.call("control", action="take")
    waiting = station.hand.status()["waiting"]
    with socket.create_connection(("127.0.0.1", station.ports[0])) as again:
        again.sendall(recorded)
        time.sleep(0.5)
    assert station.hand.status()["waiting"] == waiting


def second_daemon(station: Station) -> None:
    """Another daemon on the same hand, in the same directory and in another one."""
    for run, error in (("run", "another inhandd runs"), ("elsewhere", "is in use")):
        config = station.config
        if run == "elsewhere":
            config = station.directory / "second.toml"
            text = station.config.read_text()
            # Without a policy: the file may have been tampered with by now.
            text = text.replace('file = "none.onnx"', 'file = ""')
            config.write_text(text[: text.index("[network]")])
        done = subprocess.run(
            [*station.daemon_command(station.directory / run), "--config", str(config)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode != 0 and error in done.stderr, done.stderr
