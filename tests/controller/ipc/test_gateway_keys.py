"""The gateway and its list of keys while it runs: unlisted, revoked, damaged, too busy."""

import json
import os
import socket

import pytest
import zmq

from inhand.controller.errors import ClientError, RefusedError
from inhand.controller.ipc.keys import load_client_key
from tests.controller.ipc.network import WAIT, Network, until


def _received(socket: "zmq.Socket[bytes]", patience: int) -> bool:
    """Receives all that has come; returns whether anything came within the patience [ms]."""
    came = bool(socket.poll(patience))
    while socket.poll(0):
        socket.recv_multipart()
    return came


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
