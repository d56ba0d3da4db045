"""The way in from the network, as a process of its own: CURVE, a list of clients, two roles.

The daemon itself never listens on a network. This process takes what comes over TCP, knows each
client by its key, refuses what its role may not ask for, and passes the rest to the command socket,
each client through a connection of its own.
"""

import logging
import os
import signal
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

import zmq
from zmq.auth.thread import ThreadAuthenticator

from inhand.controller.core.requests import AnyRequest, Estop, Events, Status
from inhand.controller.errors import StartError
from inhand.controller.ipc.keys import KeyRing
from inhand.controller.ipc.protocol import ProtocolError, decode_request, reply_error
from inhand.controller.ipc.sockets import MAX_WIRE_SIZE
from inhand.controller.system.paths import socket_address
from inhand.errors import InhandError
from inhand.perception.parent import Parent

log = logging.getLogger(__name__)

MOST_CLIENTS = 32
"""Clients that are served at a time; the one that has been silent longest makes room."""

_DOMAIN = "inhand"
_FOR_ALL = Status | Events | Estop
"""Requests that any role may make."""


class Gateway:
    """Both sockets on the network, and what they lead to.

    Args:
        directory: where the daemon's sockets are.
        ring: the keys.
        command: TCP address to bind for commands.
        state: TCP address to bind for state, events and pictures.
        images: addresses of the cameras' pictures.

    Raises:
        ConfigError: there is no server key.
        StartError: an address cannot be bound.
    """

    def __init__(
        self, directory: Path, ring: KeyRing, command: str, state: str, images: Sequence[str] = ()
    ) -> None:
        self._directory, self._ring = directory, ring
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._clients: dict[bytes, zmq.Socket[bytes]] = {}
        # Before anything is bound: a client must never meet a socket without a guard.
        self._guard = ThreadAuthenticator(self._context)
        self._guard.start()
        self._guard.configure_curve_callback(_DOMAIN, self)
        keys = ring.server()
        self._commands = self._bind(zmq.ROUTER, command, keys.public, keys.secret)
        self._states = self._bind(zmq.XPUB, state, keys.public, keys.secret)
        self._source = self._context.socket(zmq.SUB)
        # A camera's process makes pictures only while somebody wants them: what the clients
        # subscribe to is subscribed to here, and nothing else.
        self._source.set(zmq.RCVHWM, 100)
        for address in (socket_address(directory, "state"), *images):
            self._source.connect(address)
        self._poller = zmq.Poller()
        self._poller.register(self._commands, zmq.POLLIN)
        self._poller.register(self._source, zmq.POLLIN)
        self._poller.register(self._states, zmq.POLLIN)

    def callback(self, domain: str, key: bytes) -> bool:
        """Whether a client may come in; asked by the authenticator."""
        entry = self._ring.entry(key.decode())
        if entry is None:
            log.warning("a client with unknown key %s was turned away", key.decode())
        return entry is not None

    def serve(self, parent: Parent) -> None:
        """Passes messages on until the parent process is gone."""
        while parent.alive:
            ready = dict(self._poller.poll(200))
            if self._commands in ready:
                self._take()
            if self._states in ready:
                wish = self._states.recv()
                if wish[:1] == b"\x01":
                    self._source.set(zmq.SUBSCRIBE, wish[1:])
                elif wish[:1] == b"\x00":
                    self._source.set(zmq.UNSUBSCRIBE, wish[1:])
            if self._source in ready:
                self._states.send_multipart(self._source.recv_multipart())
            for identity, way in list(self._clients.items()):
                if way in ready:
                    self._commands.send_multipart([identity, *way.recv_multipart()])

    def close(self) -> None:
        """Closes all sockets."""
        self._guard.stop()
        self._context.destroy(linger=0)

    def _take(self) -> None:
        """Takes one message from the network."""
        identity, *frames = self._commands.recv_multipart(copy=False)
        user = str(frames[-1].get("User-Id")) if frames else ""
        empty = [b""] if len(frames) > 1 and not frames[0].bytes else []
        back = [identity.bytes, *empty]
        try:
            if len(frames) != len(empty) + 1:
                raise ProtocolError("malformed", "send one frame a message")
            request = decode_request(frames[-1].bytes)
            self._check(request, user)
        except ProtocolError as error:
            self._commands.send_multipart([*back, reply_error(error.id, error.code, str(error))])
            return
        self._way(identity.bytes).send_multipart([*empty, frames[-1].bytes])

    def _check(self, request: AnyRequest, user: str) -> None:
        """Raises ProtocolError if the client's role does not allow the request."""
        # By the list as it is now: a key that was revoked counts no more at once.
        entry = self._ring.entry(user)
        if entry is None:
            raise ProtocolError("forbidden", "this key was revoked", request.id)
        if entry.role == "observe" and not isinstance(request, _FOR_ALL):
            kind = request.__struct_config__.tag
            text = f"{kind}: key {entry.name} may only observe; it may ask status, events and estop"
            raise ProtocolError("forbidden", text, request.id)

    def _way(self, identity: bytes) -> "zmq.Socket[bytes]":
        """The client's own connection to the daemon, so that the daemon tells clients apart."""
        way = self._clients.pop(identity, None)
        if way is None:
            if len(self._clients) >= MOST_CLIENTS:
                oldest = next(iter(self._clients))
                self._poller.unregister(self._clients[oldest])
                self._clients.pop(oldest).close(linger=0)
            way = self._context.socket(zmq.DEALER)
            way.connect(socket_address(self._directory, "command"))
            self._poller.register(way, zmq.POLLIN)
        self._clients[identity] = way
        return way

    def _bind(self, kind: int, address: str, public: str, secret: str) -> "zmq.Socket[bytes]":
        socket = self._context.socket(kind)
        # All of it before bind: options that are set later count for later connections only.
        socket.set(zmq.CURVE_SERVER, 1)
        socket.set(zmq.CURVE_PUBLICKEY, public.encode())
        socket.set(zmq.CURVE_SECRETKEY, secret.encode())
        socket.set(zmq.ZAP_DOMAIN, _DOMAIN.encode())
        socket.set(zmq.MAXMSGSIZE, MAX_WIRE_SIZE)
        socket.set(zmq.HANDSHAKE_IVL, 3000)
        socket.set(zmq.HEARTBEAT_IVL, 2000)
        socket.set(zmq.LINGER, 200)
        socket.set(zmq.IPV6, 1)
        try:
            socket.bind(address)
        except zmq.ZMQError as error:
            raise StartError(f"[network] {address}: {error}; is the address free?") from error
        return socket


def main() -> None:
    """Entry point of the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    parser = ArgumentParser(prog="python -m inhand.controller.ipc.gateway", description=__doc__)
    parser.add_argument("--directory", type=Path, required=True, help="the daemon's sockets")
    parser.add_argument("--keys", type=Path, required=True, help="directory of the keys")
    parser.add_argument("--command", required=True, help="TCP address for commands")
    parser.add_argument("--state", required=True, help="TCP address for state and events")
    parser.add_argument(
        "--image", action="append", default=[], help="address of a camera's pictures"
    )
    arguments = parser.parse_args()
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    os.umask(0o077)
    try:
        ring = KeyRing(arguments.keys)
        gateway = Gateway(
            arguments.directory, ring, arguments.command, arguments.state, arguments.image
        )
        gateway.serve(Parent())
    except InhandError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
