"""A bench hand that ticks in real time behind the real sockets, and who asks it."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zmq

from controller.interfaces import PolicyRunner
from controller.mailbox import Mailbox
from controller.policy import load_policy
from controller.policy_files import find_policy
from controller.server import Server, socket_address
from controller.service import perform
from tests.controller.bench_hand import BLOCK, HAND, TICK, Bench, learned

PATIENCE = 10_000
"""With a reply [ms]."""


class Served:
    """Server and tick, each in a thread of its own.

    Attributes:
        bench: the hand.
        server: the real server.
        failures: what the server said when it gave up.
        ticking: while it is clear, no tick comes.
    """

    def __init__(
        self,
        directory: Path,
        *,
        load: Callable[[str], PolicyRunner] | None = None,
        statistics: Callable[[], dict[str, object]] = dict,
        bench: Bench | None = None,
        description: dict[str, Any] | None = None,
    ) -> None:
        self.directory = directory
        self.bench = bench or Bench(learned(directory))
        self.mailbox = Mailbox()
        self.failures: list[str] = []
        self.server = Server(
            directory,
            self.mailbox,
            statistics=statistics,
            load_policy=load or self._load,
            give_up=self.failures.append,
            description=description,
        )
        self.ticking = threading.Event()
        self.ticking.set()
        self._over = False
        self._thread = threading.Thread(target=self._tick)

    def __enter__(self) -> "Served":
        self.server.start()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        self.ticking.set()
        self._thread.join()
        self.server.stop()
        self.mailbox.close()

    def _load(self, name: str) -> PolicyRunner:
        return load_policy(find_policy(name, self.directory), HAND, BLOCK, allowed=None)

    def _tick(self) -> None:
        while not self._over:
            self.ticking.wait()
            # The daemon's loop, on a hand without wires and cameras.
            letters = self.mailbox.take(8)
            controller = self.bench.controller
            answers = [perform(controller, letter, readonly=False) for letter in letters]
            self.bench.events.clear()
            self.bench.t = time.monotonic() - TICK
            self.bench.tick()
            self.mailbox.snapshot = controller.snapshot()
            self.mailbox.leave(answers, list(self.bench.events))
            time.sleep(0.002)


class Asker:
    """A client that knows nothing but ZMQ and JSON."""

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], directory: Path, kind: int = zmq.DEALER
    ) -> None:
        self.socket = context.socket(kind)
        self.socket.connect(socket_address(directory, "command"))

    def send(self, type: str, id: object = 1, **members: object) -> None:
        self.socket.send(json.dumps({"v": 1, "id": id, "type": type, **members}).encode())

    def receive(self) -> dict[str, Any]:
        assert self.socket.poll(PATIENCE), "no reply"
        reply: dict[str, Any] = json.loads(self.socket.recv())
        return reply

    def ask(self, type: str, id: object = 1, **members: object) -> dict[str, Any]:
        self.send(type, id, **members)
        return self.receive()

    def silent(self) -> bool:
        """Whether nothing more comes."""
        return not self.socket.poll(100)
