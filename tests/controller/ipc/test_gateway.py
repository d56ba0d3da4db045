"""The network gateway as a process, over real TCP and CURVE."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import zmq

from inhand.controller.client.sync import Client
from inhand.controller.errors import ClientError, RefusedError
from inhand.controller.ipc.keys import KeyRing, load_client_key
from inhand.controller.system.paths import image_address
from inhand.perception.camera.preview import Preview
from inhand.perception.camera.sources import Frame
from inhand.perception.parent import environment
from inhand.perception.records import TagCorners, frozen_array
from tests.controller.served import Served

WAIT = 15.0


class Network:
    """A served bench hand, and a gateway that forwards to it.

    Attributes:
        place: directory of keys and of the clients' files.
        served: the hand.
        process: the gateway.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        self.ring = KeyRing(place / "keys")
        self.ports = [free_port() for _ in range(2)]
        for name, role in (
            ("commander", "operate"),
            ("observer", "observe"),
            ("colleague", "command"),
        ):
            self.generate(name, role)
        stranger = Network.stranger(self)
        assert self.ring.entry(stranger) is None
        self.served = Served(place, own=lambda process: process == self.process.pid)
        addresses = [f"tcp://127.0.0.1:{port}" for port in self.ports]
        command = [sys.executable, "-m", "inhand.controller.ipc.gateway", "--directory", str(place)]
        command += ["--keys", str(place / "keys"), "--command", addresses[0]]
        self.log = (place / "log").open("wb")
        self.process = subprocess.Popen(
            [*command, "--state", addresses[1], "--image", image_address(place, "left")],
            env=environment(),
            stderr=self.log,
        )

    def generate(self, name: str, role: str) -> None:
        command, state = (f"tcp://127.0.0.1:{port}" for port in self.ports)
        self.ring.generate(name, role, command, state, self.place / name)

    def stranger(self) -> str:
        """A client file with a key of its own making; returns its public half."""
        public, secret = zmq.curve_keypair()
        key = load_client_key(self.place / "commander")
        forged = msgspec.structs.replace(key, public=public.decode(), secret=secret.decode())
        text = "".join(f"{k} = '{v}'\n" for k, v in msgspec.structs.asdict(forged).items())
        (self.place / "stranger").write_text(text)
        return public.decode()

    def client(self, name: str, timeout: float = WAIT) -> Client:
        return Client(key=self.place / name, timeout=timeout)

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(WAIT)
        self.log.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    network = Network(tmp_path_factory.mktemp("network"))
    with network.served:
        with network.client("commander") as client:
            # Up, and the bench hand has seen its block.
            until(lambda: client.status().get("object", {}).get("in_hand"))
        yield network
        network.close()


def _received(socket: "zmq.Socket[bytes]", patience: int) -> bool:
    """Receives all that has come; returns whether anything came within the patience [ms]."""
    came = bool(socket.poll(patience))
    while socket.poll(0):
        socket.recv_multipart()
    return came


def until(what: Callable[[], Any]) -> None:
    deadline = time.monotonic() + WAIT
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_role_command_may_command_and_sees_events(network: Network) -> None:
    with network.client("commander") as client:
        client.subscribe()
        until(lambda: next(client.messages(WAIT), None))
        assert client.call("enable")["mode"] == "holding"
        kinds = (event["kind"] for event in client.events(WAIT))
        assert "mode" in kinds
        assert client.call("disable")["mode"] == "off"


def test_the_role_observe_may_only_read_and_stop_the_hand(network: Network) -> None:
    with network.client("observer") as client, network.client("commander") as commander:
        assert client.status()["mode"] == "off"
        assert client.call("events")["last"] > 0
        assert next(iter(client.messages(WAIT)))
        for request in ("enable", "clear", "shutdown"):
            with pytest.raises(RefusedError, match="observer may send only status") as refused:
                client.call(request)
            assert refused.value.code == "forbidden"
        assert client.call("estop")["mode"] == "estop"
        assert commander.call("clear")["mode"] == "off"


def test_programs_reach_a_remote_hand_with_a_key_file(network: Network) -> None:
    key = ["--key", str(network.place / "observer")]
    status = [sys.executable, "-m", "inhand.controller.cli.main", "status", "--json", *key]
    done = subprocess.run(status, env=environment(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and json.loads(done.stdout)["mode"], done.stderr
    view = [sys.executable, "-m", "inhand.controller.cli.main", "view", *key]
    page = subprocess.Popen(view, env=environment(), stdout=subprocess.PIPE, text=True)
    try:
        assert page.stdout is not None
        assert page.stdout.readline().startswith("view: http://127.0.0.1:")
    finally:
        page.send_signal(signal.SIGINT)
        page.communicate(timeout=60)


def test_images_are_sent_over_the_network_only_while_subscribed(network: Network) -> None:
    preview = Preview.open(image_address(network.place, "left"))
    corners = TagCorners(0.0, "left", (), frozen_array(np.empty((0, 4, 2))), 0.1)
    with network.client("observer") as client:
        socket = client.watch("image")

        def shown() -> bool:
            preview.offer(Frame(time.monotonic(), np.zeros((8, 8), np.uint8)), corners)
            return bool(socket.poll(50))

        until(shown)
        assert socket.recv_multipart()[0] == b"image"
    until(lambda: not preview.watched)
    preview.close()


def test_clients_without_a_listed_key_are_refused(network: Network) -> None:
    with network.client("stranger", timeout=0.5) as client:
        with pytest.raises(ClientError, match="is your key on its list"):
            client.call("estop")
        assert not list(client.messages(0.3))
    # No key at all, and no ZeroMQ at all.
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    plain = context.socket(zmq.DEALER)
    plain.connect(f"tcp://127.0.0.1:{network.ports[0]}")
    plain.send(b'{"v":1,"id":1,"type":"estop"}')
    with socket.create_connection(("127.0.0.1", network.ports[0])) as raw:
        raw.sendall(os.urandom(10_000))
        assert not plain.poll(500)
    context.destroy(linger=0)
    with network.client("commander") as client:
        assert client.status()["mode"] == "off"
    said = (network.place / "log").read_text()
    assert "unknown key" in said and load_client_key(network.place / "stranger").secret not in said


def test_a_replayed_session_is_rejected(network: Network) -> None:
    """An attacker that repeats the recorded bytes of a session has no effect."""
    listener = socket.create_server(("127.0.0.1", 0))
    key = load_client_key(network.place / "commander")
    port = listener.getsockname()[1]
    detour = msgspec.structs.replace(key, command=f"tcp://127.0.0.1:{port}")
    text = "".join(f"{k} = '{v}'\n" for k, v in msgspec.structs.asdict(detour).items())
    (network.place / "detour").write_text(text)
    with network.client("detour") as client:
        client._commands.send(b'{"v":1,"id":1,"type":"estop"}')
        near, _ = listener.accept()
        far = socket.create_connection(("127.0.0.1", network.ports[0]))
        sent = relay(near, far, lambda: bool(client._commands.poll(0)))
        assert json.loads(client._commands.recv())["mode"] == "estop"
        client._commands.send(b'{"v":1,"id":2,"type":"clear"}')
        sent += relay(near, far, lambda: bool(client._commands.poll(0)))
    with network.client("commander") as client:
        assert client.call("enable")["mode"] == "holding"
        with socket.create_connection(("127.0.0.1", network.ports[0])) as again:
            again.sendall(sent)
            time.sleep(0.5)
        assert client.status()["mode"] == "holding"
        client.call("disable")
    for one in (near, far, listener):
        one.close()


def relay(near: socket.socket, far: socket.socket, done: Callable[[], bool]) -> bytes:
    """Carries bytes both ways until something holds; returns what went to the far side."""
    for one in (near, far):
        one.setblocking(False)
    carried = b""
    deadline = time.monotonic() + WAIT
    while not done():
        assert time.monotonic() < deadline
        for source, sink in ((near, far), (far, near)):
            try:
                data = source.recv(65536)
            except BlockingIOError:
                continue
            sink.sendall(data)
            carried += data if source is near else b""
        time.sleep(0.001)
    return carried


def test_malformed_or_too_large_messages_are_not_forwarded(network: Network) -> None:
    with network.client("commander") as client:
        for message, code in ((b"{", "malformed"), (b"x" * 70_000, "too_large")):
            client._commands.send(message)
            assert client._commands.poll(int(1000 * WAIT))
            assert json.loads(client._commands.recv())["error"]["code"] == code
        client._commands.send(b"x" * (2 << 20))
    with network.client("commander") as client:
        assert client.status()["mode"] == "off"


def test_a_revoked_key_is_refused_even_on_an_open_connection(network: Network) -> None:
    network.generate("guest", "command")
    with network.client("guest") as client:
        assert client.call("enable")["mode"] == "holding"
        network.ring.revoke("guest")
        with pytest.raises(RefusedError, match="revoked"):
            client.call("disable")
    with network.client("commander") as client:
        assert client.call("disable")["mode"] == "off"


def test_a_revoked_key_receives_no_more_state_and_the_others_do(network: Network) -> None:
    network.generate("watcher", "observe")
    with network.client("watcher") as watcher, network.client("commander") as client:
        revoked, listed = watcher.watch("state"), client.watch("state")
        assert all(one.poll(int(1000 * WAIT)) for one in (revoked, listed))
        network.ring.revoke("watcher")
        # Until the gateway has closed the connection, and what was under way has been received.
        until(lambda: not _received(revoked, 300))
        _received(listed, 0)
        assert listed.poll(int(1000 * WAIT))
        assert not revoked.poll(300)


def test_a_damaged_line_of_the_list_leaves_the_gateway_working(network: Network) -> None:
    clients = network.place / "keys/clients"
    whole = clients.read_text()
    clients.write_text(f"command short me\n{whole}")
    with network.client("commander") as client:
        assert client.status()["mode"] == "off"
    network.generate("late", "command")
    with network.client("late") as client:
        assert client.status()["mode"] == "off"
    clients.write_text(whole)
    assert "line 1" in (network.place / "log").read_text()


def test_without_keys_it_does_not_start(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "inhand.controller.ipc.gateway", "--directory", str(tmp_path)]
    command += ["--keys", str(tmp_path), "--command", "tcp://127.0.0.1:1", "--state", "tcp://x:1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1 and "inhand keys generate" in done.stderr


def test_many_clients_that_wait_at_once_lose_no_reply(network: Network) -> None:
    clients = [network.client("observer") for _ in range(50)]
    network.served.ticking.clear()
    time.sleep(0.05)
    for client in clients:
        client._commands.send(b'{"v":1,"id":7,"type":"estop"}')
    # Until all of them wait for the tick.
    waiting = network.served.server._stops
    until(lambda: sum(1 + len(one.also) for one in waiting.values()) == len(clients))
    network.served.ticking.set()
    for client in clients:
        assert client._commands.poll(int(1000 * WAIT)), "a reply is lost"
        assert json.loads(client._commands.recv())["mode"] == "estop"
        client.close()
    with network.client("commander") as client:
        assert client.call("clear")["mode"] == "off"


def test_a_key_has_its_rate_limit_on_all_connections_together(network: Network) -> None:
    codes = []
    for _ in range(6):
        with network.client("observer") as client:
            for _ in range(400):
                client._commands.send(b'{"v":1,"id":1,"type":"events","since":999999}')
            for _ in range(400):
                assert client._commands.poll(int(1000 * WAIT))
                reply = json.loads(client._commands.recv())
                codes.append(None if reply["ok"] else reply["error"]["code"])
    assert set(codes) == {None, "busy"}
    with network.client("commander") as client:
        assert client.status()["mode"] == "off"


def test_only_who_pressed_the_emergency_stop_or_an_operator_ends_it(network: Network) -> None:
    with (
        network.client("observer") as observer,
        network.client("colleague") as colleague,
        network.client("commander") as operator,
    ):
        assert observer.call("estop")["mode"] == "estop"
        # Whoever presses once more is not the one who may end it.
        assert colleague.call("estop")["mode"] == "estop"
        with pytest.raises(RefusedError, match="key observer pressed the emergency stop") as no:
            colleague.call("clear")
        assert no.value.code == "forbidden"
        assert operator.call("clear")["mode"] == "off"
        assert colleague.call("estop")["mode"] == "estop"
        until(lambda: colleague.status()["mode"] == "estop")
        assert colleague.call("clear")["mode"] == "off"
