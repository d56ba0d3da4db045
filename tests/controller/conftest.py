"""What several tests of the controller begin with."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from tests.controller.bench_hand import Bench, learned


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A controller on a hand of simple servos, with a real policy file."""
    return Bench(learned(tmp_path))


@pytest.fixture
def context() -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    # Of its sockets too, which end with their test: by default one that is forgotten keeps the
    # context waiting for a server that is gone to take its last message.
    context.linger = 0
    yield context
    context.destroy(linger=0)
