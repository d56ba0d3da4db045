"""Shared by both clients: addresses of a daemon, encoding of requests, checking of replies."""

import os
from pathlib import Path
from typing import Any

import msgspec
import zmq

from inhand.controller.errors import ClientError, RefusedError
from inhand.controller.ipc.keys import load_client_key
from inhand.controller.ipc.protocol import VERSION
from inhand.controller.system.paths import run_directory, socket_address

Message = dict[str, Any]


class Route:
    """The addresses of one daemon.

    Args:
        directory: see `inhand.controller.client.sync.Client`.
        key: see there.

    Attributes:
        command: address of the command socket.
        state: address of the state socket.

    Raises:
        ClientError: there is no daemon.
        ConfigError: the key cannot be read.
    """

    def __init__(self, directory: str | Path | None, key: str | Path | None) -> None:
        if key is None and directory is None:
            key = os.environ.get("INHAND_KEY") or None
        self._key = None if key is None else load_client_key(key)
        if self._key is not None:
            self.command, self.state = self._key.command, self._key.state
            return
        place = run_directory(directory)
        if not (place / "command.sock").exists():
            raise ClientError(
                f"no daemon in {place}; start one with `inhandd --sim`, or say where it is "
                "with --directory"
            )
        self.command, self.state = (socket_address(place, x) for x in ("command", "state"))

    @property
    def remote(self) -> bool:
        """Whether the daemon is reached over the network."""
        return self._key is not None

    def connect(self, socket: "zmq.Socket[Any]", address: str) -> None:
        """Connects a socket to an address of the daemon.

        Raises:
            ClientError: the address is malformed.
        """
        socket.set(zmq.LINGER, 0)
        if self._key is not None:
            socket.set(zmq.CURVE_SERVERKEY, self._key.server.encode())
            socket.set(zmq.CURVE_PUBLICKEY, self._key.public.encode())
            socket.set(zmq.CURVE_SECRETKEY, self._key.secret.encode())
        try:
            socket.connect(address)
        except zmq.ZMQError as error:
            raise ClientError(f"the daemon's socket {address}: {error}") from error

    def silence(self, type: str, timeout: float) -> ClientError:
        """The error of a request without a reply within `timeout` [s]."""
        listed = ", and is your key on its list" if self.remote else ""
        return ClientError(
            f"{type}: the daemon at {self.command} did not answer within {timeout:g} s; is it "
            f"still running{listed}?"
        )


def encode_request(number: int, type: str, members: Message) -> bytes:
    """A request; members that are None are left out."""
    given = {key: value for key, value in members.items() if value is not None}
    return msgspec.json.encode({"v": VERSION, "id": number, "type": type, **given})


def accepted(reply: Message) -> Message:
    """The reply, if it is a positive one.

    Raises:
        RefusedError: it is not.
    """
    if reply["ok"]:
        return reply
    raise RefusedError(reply["error"]["code"], reply["error"]["message"])
