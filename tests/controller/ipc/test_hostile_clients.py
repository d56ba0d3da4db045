"""Clients that connect without end, send without end, or never read: no other client notices."""

import json
import random
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import zmq

from inhand.controller.ipc.listener import CONNECTIONS, HANDSHAKE_TIME, MOST_UNREAD, Listener
from inhand.controller.ipc.rate_limit import PROGRAM_BURST, PROGRAM_RATE
from inhand.controller.ipc.zmtp import GREETING, ready
from tests.controller.served import PATIENCE, Asker
from tests.controller.served_apart import ServedApart

MEGABYTE = 1_000_000

SILENT = """
import resource, socket, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (2048, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
kept = []
for _ in range(1000):
    line = socket.socket(socket.AF_UNIX)
    line.connect(sys.argv[1])
    kept.append(line)
print("connected", flush=True)
sys.stdin.read()
"""
"""A program with a thousand connections that say nothing."""


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedApart]:
    with ServedApart(tmp_path_factory.mktemp("apart")) as apart:
        yield apart


@pytest.fixture
def asker(apart: ServedApart, context: zmq.Context[zmq.Socket[bytes]]) -> Asker:
    asker = Asker(context, apart.directory)
    assert asker.ask("status")["ok"]
    return asker


@pytest.mark.parametrize("name", ["command", "state"])
def test_a_thousand_silent_connections(
    apart: ServedApart, asker: Asker, context: zmq.Context[zmq.Socket[bytes]], name: str
) -> None:
    path = str(apart.directory / f"{name}.sock")
    silent = subprocess.Popen(
        [sys.executable, "-c", SILENT, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert silent.stdout is not None and silent.stdout.readline() == b"connected\n"
    # Who was connected stays so, and others are let in.
    assert asker.ask("hold")["error"]["code"] == "refused"
    assert Asker(context, apart.directory).ask("estop")["mode"] == "estop"
    states = context.socket(zmq.SUB)
    states.subscribe(b"state")
    states.connect(f"ipc://{apart.directory}/state.sock")
    assert states.poll(PATIENCE)
    assert apart.descriptors() < 2 * CONNECTIONS
    silent.communicate()
    assert asker.ask("clear")["mode"] == "off"


def test_a_program_that_connects_without_pause_does_not_occupy_the_server(tmp_path: Path) -> None:
    path = tmp_path / "command.sock"
    listener = Listener(path, kind=b"ROUTER", partners=[b"DEALER"], most=1000).open()
    lines = []
    for _ in range(100):
        lines.append(socket.socket(socket.AF_UNIX))
        lines[-1].connect(str(path))
    try:
        listener.receive(10)
        # Each round accepts some; the others wait while requests are answered.
        assert 0 < len(listener.connections) < 100
        for _ in range(20):
            listener.receive(10)
        assert len(listener.connections) == 100
    finally:
        listener.close()
        for line in lines:
            line.close()


def test_a_request_that_waited_for_a_busy_server_is_not_lost(tmp_path: Path) -> None:
    path, passed = tmp_path / "command.sock", 0.0
    listener = Listener(
        path,
        kind=b"ROUTER",
        partners=[b"DEALER"],
        most=1000,
        now=lambda: time.monotonic() + passed,
    ).open()
    line = socket.socket(socket.AF_UNIX)
    line.connect(str(path))
    try:
        listener.receive(10)
        line.sendall(GREETING + ready(b"DEALER") + b"\x00\x02{}")
        passed = HANDSHAKE_TIME + 1.0
        assert [frames for _, frames in listener.receive(10)] == [[b"{}"]]
        assert listener.connections
    finally:
        listener.close()
        line.close()


def test_connections_without_a_handshake_are_closed(apart: ServedApart, asker: Asker) -> None:
    before = apart.descriptors()
    lines = []
    for beginning in (b"", GREETING[:5], GREETING, GREETING + ready(b"DEALER")[:7]):
        line = socket.socket(socket.AF_UNIX)
        line.connect(str(apart.directory / "command.sock"))
        line.sendall(beginning)
        lines.append(line)
    began = time.monotonic()
    for line in lines:
        line.settimeout(10 * HANDSHAKE_TIME)
        while line.recv(4096):
            pass
        line.close()
    assert time.monotonic() - began > HANDSHAKE_TIME / 2
    assert apart.descriptors() <= before


def noises() -> list[bytes]:
    long = b"\x02" + (1 << 40).to_bytes(8, "big")
    whole = GREETING + ready(b"DEALER")
    return [
        b"GET / HTTP/1.1\r\n\r\n",
        random.Random(1).randbytes(3000),
        GREETING[:10] + b"\x01" + bytes(53),
        GREETING[:12] + b"CURVE" + bytes(47),
        GREETING + ready(b"PUB"),
        GREETING + b"\x04\x08\x05READY\xff\xff",
        GREETING + b"\x00\x02{}",
        whole + long,
        whole + b"\xf0\x00",
    ]


@pytest.mark.parametrize("noise", noises(), ids=range(len(noises())))
def test_what_is_no_zmtp_is_disconnected(apart: ServedApart, asker: Asker, noise: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(apart.directory / "command.sock"))
        line.settimeout(PATIENCE / 1000)
        with suppress(BrokenPipeError):
            line.sendall(noise)
        with suppress(ConnectionResetError):
            while line.recv(4096):
                pass
    assert asker.ask("status")["ok"]


def test_a_heartbeat_of_zmq_is_answered(apart: ServedApart) -> None:
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(apart.directory / "command.sock"))
        line.settimeout(PATIENCE / 1000)
        line.sendall(
            GREETING + ready(b"DEALER") + b"\x04\x0b\x04PING" + struct.pack("!H", 10) + b"1234"
        )
        said = b""
        while not said.endswith(b"\x04\x09\x04PONG1234"):
            said += line.recv(4096)


def test_a_message_without_end_is_cut_off(apart: ServedApart, asker: Asker) -> None:
    before = apart.memory()
    part = b"\x03" + (60_000).to_bytes(8, "big") + bytes(60_000)
    with socket.socket(socket.AF_UNIX) as endless:
        endless.connect(str(apart.directory / "command.sock"))
        endless.sendall(GREETING + ready(b"DEALER"))
        # A hundred and twenty megabytes in one message.
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            endless.sendall(2000 * part)
    assert asker.ask("status")["ok"]
    assert apart.memory() - before < 20 * MEGABYTE


def test_replies_that_nobody_reads_are_bounded(apart: ServedApart, asker: Asker) -> None:
    before = apart.memory()
    deaf = socket.socket(socket.AF_UNIX)
    deaf.connect(str(apart.directory / "command.sock"))
    message = json.dumps({"v": 1, "id": 1, "type": "events"}).encode()
    deaf.sendall(GREETING + ready(b"DEALER") + 1500 * (b"\x00" + bytes([len(message)]) + message))
    for _ in range(50):
        assert asker.ask("status")["ok"]
    assert apart.memory() - before < 20 * MEGABYTE
    # Its stops are carried out.
    stop = json.dumps({"v": 1, "id": 1, "type": "estop"}).encode()
    deaf.sendall(b"\x00" + bytes([len(stop)]) + stop)
    deadline = time.monotonic() + PATIENCE / 1000
    while asker.ask("status")["mode"] != "estop":
        assert time.monotonic() < deadline
    deaf.close()
    assert asker.ask("clear")["ok"] and MOST_UNREAD < 20 * MEGABYTE


def test_connecting_again_gives_no_more_requests(tmp_path: Path) -> None:
    """One program, thirty connections one after the other, each within its own limit."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    with ServedApart(tmp_path) as apart:
        began, accepted, codes = time.monotonic(), 0, set()
        for _ in range(30):
            client = Asker(context, apart.directory)
            for number in range(300):
                client.send("events", id=number, since=10**6)
            for _ in range(300):
                reply = client.receive()
                accepted += reply["ok"]
                codes.add(reply.get("error", {}).get("code"))
            client.socket.close(linger=0)
        most = PROGRAM_BURST + PROGRAM_RATE * (time.monotonic() - began)
        assert PROGRAM_BURST <= accepted <= most and codes == {None, "busy"}
        # Stops are carried out nevertheless.
        assert Asker(context, apart.directory).ask("estop")["mode"] == "estop"
        context.destroy(linger=0)


def test_another_program_has_its_own_limit(tmp_path: Path) -> None:
    ask = (
        "import sys, zmq\n"
        "socket = zmq.Context().socket(zmq.DEALER)\n"
        "socket.connect(sys.argv[1])\n"
        'socket.send(b\'{"v":1,"id":1,"type":"status"}\')\n'
        "assert socket.poll(120_000)\n"
        "assert b'\"ok\":true' in socket.recv()\n"
    )
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    with ServedApart(tmp_path) as apart:
        floods = [Asker(context, apart.directory) for _ in range(10)]
        for number in range(1000):
            for flood in floods:
                flood.send("events", id=number, since=10**6)
        address = f"ipc://{apart.directory}/command.sock"
        subprocess.run([sys.executable, "-c", ask, address], check=True, timeout=300)
        context.destroy(linger=0)
