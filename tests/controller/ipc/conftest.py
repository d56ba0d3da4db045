"""A served hand and a client of it, for every test of the sockets."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from tests.controller.served import Asker, Served


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with Served(tmp_path) as served:
        yield served


@pytest.fixture
def client(served: Served, context: zmq.Context[zmq.Socket[bytes]]) -> Asker:
    return Asker(context, served.directory)
