"""A served hand and clients of it, here and over the network, for every test of the sockets."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from tests.controller.ipc.network import Network, until
from tests.controller.served import Asker, Served


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with Served(tmp_path) as served:
        yield served


@pytest.fixture
def client(served: Served, context: zmq.Context[zmq.Socket[bytes]]) -> Asker:
    return Asker(context, served.directory)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    network = Network(tmp_path_factory.mktemp("network"))
    with network.served:
        with network.client("commander") as client:
            # Up, and the bench hand has seen its block.
            until(lambda: client.status().get("object", {}).get("in_hand"))
        yield network
        network.close()
