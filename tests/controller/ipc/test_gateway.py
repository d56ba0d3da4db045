"""The network gateway as a process, over real TCP and CURVE."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from inhand.controller.errors import RefusedError
from inhand.controller.ipc.keys import load_client_key
from inhand.controller.system.paths import image_address
from inhand.perception.camera.preview import Preview
from inhand.perception.camera.sources import Frame
from inhand.perception.parent import environment
from inhand.perception.records import TagCorners, frozen_array
from tests.controller.ipc.network import WAIT, Network, until


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
    done = subprocess.run(status, env=environment(), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and json.loads(done.stdout)["mode"], done.stderr
    view = [sys.executable, "-m", "inhand.controller.cli.main", "view", *key]
    page = subprocess.Popen(view, env=environment(), stdout=subprocess.PIPE, text=True)
    try:
        assert page.stdout is not None
        assert page.stdout.readline().startswith("view: http://127.0.0.1:")
    finally:
        page.send_signal(signal.SIGINT)
        page.communicate(timeout=300)


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


def test_without_keys_it_does_not_start(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "inhand.controller.ipc.gateway", "--directory", str(tmp_path)]
    command += ["--keys", str(tmp_path), "--command", "tcp://127.0.0.1:1", "--state", "tcp://x:1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1 and "inhand keys generate" in done.stderr


def test_many_clients_that_wait_at_once_lose_no_reply(network: Network) -> None:
    clients = [network.client("observer") for _ in range(50)]
    network.served.halt()
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
