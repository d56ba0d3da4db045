"""Network gateway, a separate process: CURVE encryption, a list of client keys, two roles.

The daemon itself never listens on a network. This process receives messages over TCP, identifies
each client by its key, refuses requests that its role does not allow, and forwards the others to
the command socket, over a separate connection for each client.
"""

import logging
import os
import resource
import signal
import sys
import time
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import zmq
from zmq.auth.thread import ThreadAuthenticator

from inhand.controller.core.requests import AnyRequest, Estop, Events, Status, Stop
from inhand.controller.errors import StartError
from inhand.controller.ipc.client_list import Entry
from inhand.controller.ipc.door import Door
from inhand.controller.ipc.keys import KeyPair, KeyRing
from inhand.controller.ipc.protocol import ProtocolError, decode_request, reply_error
from inhand.controller.ipc.rate_limit import RATE, RateLimit, cost
from inhand.controller.ipc.sockets import MAX_WIRE_SIZE
from inhand.controller.system.log import start_logging
from inhand.controller.system.paths import socket_address
from inhand.errors import InhandError
from inhand.perception.parent import Parent

log = logging.getLogger(__name__)

MOST_CLIENTS = 64
"""Most clients at a time. A new one replaces the client that has been idle longest; a client that
waits for a reply is not replaced."""

MOST_WAITING = 1000
"""Most requests of one client that may wait for a reply."""

_TOO_MANY = f"more than {RATE:.0f} requests a second with one key; send fewer requests"
_NO_ROOM = f"{MOST_CLIENTS} clients wait for replies; send the request again in a moment"
_UNANSWERED = f"{MOST_WAITING} requests of this client wait for a reply; read the replies first"

MEMORY = 1 << 30
"""Most memory of the process; beyond it, it ends, and the daemon starts it again [bytes]."""

_DOMAIN = "inhand"
_FOR_ALL = Status | Events | Estop
"""Requests that any role may make."""


class Gateway:
    """The two sockets for the network and their connections to the daemon's sockets.

    The sockets themselves are in the file system; a `Door` accepts the connections over TCP.

    Args:
        context: of all its sockets; `close` ends it.
        directory: directory of the daemon's sockets.
        ring: the keys.
    """

    def __init__(
        self, context: "zmq.Context[zmq.Socket[bytes]]", directory: Path, ring: KeyRing
    ) -> None:
        self._context, self._directory, self._ring = context, directory, ring
        self._clients: dict[bytes, zmq.Socket[bytes]] = {}
        self._unanswered: Counter[bytes] = Counter()
        self._rate = RateLimit()
        self._authenticator = ThreadAuthenticator(context)
        self._poller = zmq.Poller()

    def open(self, command: str, state: str, images: Sequence[str] = ()) -> None:
        """Makes the sockets.

        Args:
            command: TCP address to bind for commands.
            state: TCP address to bind for state, events and images.
            images: addresses of the cameras' preview images.

        Raises:
            ConfigError: there is no server key.
            StartError: an address cannot be bound.
        """
        keys = self._ring.server()
        # Started before anything is bound, so that no client ever connects without authentication.
        self._authenticator.start()
        self._authenticator.configure_curve_callback(_DOMAIN, self)
        inside = {name: self._directory / f"network-{name}.sock" for name in ("command", "state")}
        self._commands = self._bind(zmq.ROUTER, inside["command"], keys)
        self._states = self._bind(zmq.XPUB, inside["state"], keys)
        self._state_address = state
        doors = {command: inside["command"], state: inside["state"]}
        self._door = Door(doors, answering={command}).open()
        self._topics: set[bytes] = set()
        self._removals = self._ring.removals()
        self._source = self._context.socket(zmq.SUB)
        # A camera process makes images only while there is a subscriber: this socket subscribes
        # only to what the clients subscribe to.
        self._source.set(zmq.RCVHWM, 100)
        for address in (socket_address(self._directory, "state"), *images):
            self._source.connect(address)
        self._poller.register(self._commands, zmq.POLLIN)
        self._poller.register(self._source, zmq.POLLIN)
        self._poller.register(self._states, zmq.POLLIN)

    def callback(self, domain: str, key: bytes) -> bool:
        """Whether a client may connect; called by the authenticator."""
        entry = self._ring.entry(key.decode())
        if entry is None:
            log.warning("a client with unknown key %s was refused", key.decode())
        return entry is not None

    def serve(self, parent: Parent) -> None:
        """Forwards messages until the parent process has ended."""
        while parent.alive:
            ready = dict(self._poller.poll(200))
            if self._ring.removals() != self._removals:
                self._reconnect_subscribers()
            if self._commands in ready:
                self._take()
            if self._states in ready:
                self._follow(self._states.recv())
            if self._source in ready:
                self._states.send_multipart(self._source.recv_multipart())
            for identity, connection in list(self._clients.items()):
                if connection in ready:
                    self._commands.send_multipart([identity, *connection.recv_multipart()])
                    self._unanswered[identity] -= 1

    def _follow(self, subscription: bytes) -> None:
        """Subscribes as the clients do: 1 and a topic begins a subscription, 0 ends it."""
        topic = subscription[1:]
        if subscription[:1] == b"\x01" and topic not in self._topics:
            self._topics.add(topic)
            self._source.set(zmq.SUBSCRIBE, topic)
        elif subscription[:1] == b"\x00" and topic in self._topics:
            self._topics.remove(topic)
            self._source.set(zmq.UNSUBSCRIBE, topic)

    def _reconnect_subscribers(self) -> None:
        """Closes the connections of all subscribers; listed clients connect again by themselves.

        Which of them belongs to a key is not known outside of libzmq.
        """
        self._removals = self._ring.removals()
        log.warning("a client was removed from the list; all subscribers connect again")
        self._door.send_away(self._state_address)

    def close(self) -> None:
        """Closes all sockets."""
        self._door.close()
        self._authenticator.stop()
        self._context.destroy(linger=0)

    def _take(self) -> None:
        """Receives one message from the network; forwards or refuses it."""
        identity, *frames = self._commands.recv_multipart(copy=False)
        user = str(frames[-1].get("User-Id")) if frames else ""
        empty = [b""] if len(frames) > 1 and not frames[0].bytes else []
        reply_frames = [identity.bytes, *empty]
        try:
            if len(frames) != len(empty) + 1:
                raise ProtocolError("malformed", "send each message as one frame")
            request = decode_request(frames[-1].bytes)
            entry = self._check(request, user)
            self._limit(request, user, len(frames[-1].bytes))
            connection = self._connection(identity.bytes, request, entry)
        except ProtocolError as error:
            self._commands.send_multipart(
                [*reply_frames, reply_error(error.id, error.code, str(error))]
            )
            return
        self._unanswered[identity.bytes] += 1
        connection.send_multipart([*empty, frames[-1].bytes])

    def _check(self, request: AnyRequest, user: str) -> Entry:
        """The client's entry; raises ProtocolError if its role does not allow the request."""
        # Checked against the current list, so that revoking a key takes effect at once.
        entry = self._ring.entry(user)
        if entry is None:
            raise ProtocolError("forbidden", "this key was revoked", request.id)
        if entry.role == "observe" and not isinstance(request, _FOR_ALL):
            kind = request.__struct_config__.tag
            text = f"{kind}: key {entry.name} may send only status, events and estop (role observe)"
            raise ProtocolError("forbidden", text, request.id)
        return entry

    def _limit(self, request: AnyRequest, user: str, size: int) -> None:
        """Raises ProtocolError above the rate limit of a key, on however many connections."""
        allowed = self._rate.allows(user, time.monotonic(), cost(size))
        if not allowed and not isinstance(request, Stop):
            raise ProtocolError("busy", _TOO_MANY, request.id)

    def _connection(
        self, identity: bytes, request: AnyRequest, entry: Entry
    ) -> "zmq.Socket[bytes]":
        """The client's own connection to the daemon, by which the daemon distinguishes clients.

        Raises:
            ProtocolError: too many clients, or requests of this client, wait for replies.
        """
        connection = self._clients.pop(identity, None)
        if connection is None:
            if len(self._clients) >= MOST_CLIENTS:
                self._replace(request)
            try:
                connection = self._context.socket(zmq.DEALER)
            except zmq.ZMQError as error:
                raise ProtocolError("busy", f"gateway: {error}", request.id) from error
            # The server takes this name for the program that presses the emergency stop.
            connection.set(zmq.IDENTITY, f"{entry.role} {entry.name}".encode())
            connection.connect(socket_address(self._directory, "command"))
            self._poller.register(connection, zmq.POLLIN)
        self._clients[identity] = connection
        if self._unanswered[identity] >= MOST_WAITING:
            raise ProtocolError("busy", _UNANSWERED, request.id)
        return connection

    def _replace(self, request: AnyRequest) -> None:
        """Closes the connection of the client that has been idle longest."""
        idle = (client for client in self._clients if self._unanswered[client] <= 0)
        oldest = next(idle, None)
        if oldest is None:
            raise ProtocolError("busy", _NO_ROOM, request.id)
        self._poller.unregister(self._clients[oldest])
        self._clients.pop(oldest).close(linger=0)
        del self._unanswered[oldest]

    def _bind(self, kind: int, path: Path, keys: KeyPair) -> "zmq.Socket[bytes]":
        socket = self._context.socket(kind)
        # Set before bind: options that are set later apply to later connections only.
        socket.set(zmq.CURVE_SERVER, 1)
        socket.set(zmq.CURVE_PUBLICKEY, keys.public.encode())
        socket.set(zmq.CURVE_SECRETKEY, keys.secret.encode())
        socket.set(zmq.ZAP_DOMAIN, _DOMAIN.encode())
        socket.set(zmq.MAXMSGSIZE, MAX_WIRE_SIZE)
        socket.set(zmq.HANDSHAKE_IVL, 3000)
        socket.set(zmq.HEARTBEAT_IVL, 2000)
        socket.set(zmq.LINGER, 200)
        try:
            socket.bind(f"ipc://{path}")
        except zmq.ZMQError as error:
            raise StartError(f"socket {path}: {error}") from error
        return socket


def main() -> None:
    """Entry point of the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    parser = ArgumentParser(prog="python -m inhand.controller.ipc.gateway", description=__doc__)
    parser.add_argument(
        "--directory", type=Path, required=True, help="directory of the daemon's sockets"
    )
    parser.add_argument("--keys", type=Path, required=True, help="directory of the keys")
    parser.add_argument("--command", required=True, help="TCP address for commands")
    parser.add_argument("--state", required=True, help="TCP address for state and events")
    parser.add_argument("--image", action="append", default=[], help="address of a camera's images")
    arguments = parser.parse_args()
    start_logging(logging.WARNING)
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    try:
        ring = KeyRing(arguments.keys)
        gateway = Gateway(zmq.Context(), arguments.directory, ring)
        gateway.open(arguments.command, arguments.state, arguments.image)
        gateway.serve(Parent())
    except InhandError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
