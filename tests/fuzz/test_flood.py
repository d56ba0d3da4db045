"""Fifty thousand mutated requests from two hundred clients: each has one reply, memory is flat."""

import random
from pathlib import Path

import pytest
import zmq

from tests.controller.served import PATIENCE, Asker
from tests.controller.served_apart import ServedApart
from tests.fuzz.mutation import mutate
from tests.fuzz.targets import TARGETS

CLIENTS, EACH = 200, 250
MEGABYTE = 1_000_000

pytestmark = pytest.mark.slow


def test_each_has_one_reply_and_memory_is_flat(tmp_path: Path) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    context.linger = 0
    draw, corpus = random.Random(1), TARGETS[0].corpus()
    with ServedApart(tmp_path) as apart:
        clients = [Asker(context, tmp_path) for _ in range(CLIENTS)]
        for client in clients:
            assert client.ask("status")["ok"]
        before = apart.memory()
        for _ in range(EACH):
            for client in clients:
                # A message of more than a megabyte disconnects its client.
                client.socket.send(mutate(draw, corpus)[:60_000])
            for client in clients:
                assert client.socket.poll(PATIENCE), "no reply"
                client.socket.recv()
        assert all(client.socket.poll(0) == 0 for client in clients)
        grown = apart.memory() - before
        print(f"{CLIENTS * EACH} requests from {CLIENTS} clients: {grown} bytes more")
        assert grown < 20 * MEGABYTE
        assert clients[0].ask("estop")["mode"] == "estop"
    context.destroy(linger=0)
