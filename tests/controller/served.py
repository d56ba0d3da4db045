"""A bench hand that ticks in real time behind the real sockets, and a client of it."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zmq

from inhand.controller.config.settings import SafetySettings
from inhand.controller.core.interfaces import PolicyRunner
from inhand.controller.ipc.dispatch import perform
from inhand.controller.ipc.request_queue import RequestQueue
from inhand.controller.ipc.server import Server
from inhand.controller.ipc.sockets import bind
from inhand.controller.policy.files import find_policy
from inhand.controller.policy.runtime import load_policy
from inhand.controller.system.paths import socket_address
from tests.controller.bench_hand import BLOCK, HAND, TICK, Bench, learned

PATIENCE = 120_000
"""With a reply [ms]."""
UNHURRIED = SafetySettings(manual_silence=60.0)
"""For a hand in real time: requests that a busy machine delays end no mode."""


class Served:
    """Server and tick, each in a thread of its own.

    Attributes:
        bench: the hand.
        server: the real server.
        failures: what the server said when it gave up.
        ticking: while it is clear, no tick comes; see `halt`.
    """

    def __init__(
        self,
        directory: Path,
        *,
        load: Callable[[str], PolicyRunner] | None = None,
        statistics: Callable[[], dict[str, object]] = dict,
        bench: Bench | None = None,
        description: dict[str, Any] | None = None,
        own: Callable[[int], bool] = lambda process: False,
    ) -> None:
        self.directory = directory
        self.bench = bench or Bench(learned(directory), UNHURRIED)
        self.request_queue = RequestQueue().open()
        self.failures: list[str] = []
        self.server = Server(
            bind(directory),
            self.request_queue,
            statistics=statistics,
            load_policy=load or self._load,
            on_failure=self.failures.append,
            description=description,
            own=own,
        )
        self.ticking = threading.Event()
        self.ticking.set()
        self._halted = threading.Event()
        self._over = False
        self._thread = threading.Thread(target=self._tick)

    def __enter__(self) -> "Served":
        self.server.start()
        self._thread.start()
        # Before the first tick, a status has neither object nor joints.
        while self.ticking.is_set() and self.request_queue.snapshot is None:
            assert self._thread.is_alive()
            time.sleep(0.001)
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        self.ticking.set()
        self._thread.join()
        self.server.stop()
        self.request_queue.close()

    def halt(self) -> None:
        """No tick comes from now on, until `ticking` is set; the one under way has ended."""
        self._halted.clear()
        self.ticking.clear()
        assert self._halted.wait(PATIENCE / 1000)

    def until_waiting(self, requests: int, urgent: int = 0) -> None:
        """Waits until so many requests, and emergency stops, wait for the tick."""
        queue, deadline = self.request_queue, time.monotonic() + PATIENCE / 1000
        while len(queue._requests) != requests or len(queue._urgent) != urgent:
            assert time.monotonic() < deadline, (len(queue._requests), len(queue._urgent))
            time.sleep(0.01)

    def _load(self, name: str) -> PolicyRunner:
        return load_policy(find_policy(name, self.directory), HAND, BLOCK, allowed=None)

    def _tick(self) -> None:
        while not self._over:
            if not self.ticking.is_set():
                self._halted.set()
                self.ticking.wait()
                self._halted.clear()
            # The daemon's loop, on a hand without wires and cameras.
            requests = self.request_queue.take(8)
            controller = self.bench.controller
            answers = [perform(controller, pending, readonly=False) for pending in requests]
            self.bench.events.clear()
            self.bench.t = time.monotonic() - TICK
            self.bench.tick()
            self.request_queue.snapshot = controller.snapshot()
            self.request_queue.leave(answers, list(self.bench.events))
            time.sleep(0.002)


class Asker:
    """A client that uses only ZMQ and JSON."""

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


def until_in_hand(client: Asker) -> None:
    deadline = time.monotonic() + PATIENCE / 1000
    while not client.ask("status").get("object", {}).get("in_hand"):
        assert time.monotonic() < deadline
