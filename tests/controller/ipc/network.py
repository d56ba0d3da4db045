"""A bench hand behind the network gateway, over real TCP and CURVE, with keys of three roles."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import zmq

from inhand.controller.client.sync import Client
from inhand.controller.ipc.keys import KeyRing, load_client_key
from inhand.controller.system.paths import image_address
from inhand.perception.parent import environment
from tests.controller.served import Served

WAIT = 120.0


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


def until(what: Callable[[], Any]) -> None:
    deadline = time.monotonic() + WAIT
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)
