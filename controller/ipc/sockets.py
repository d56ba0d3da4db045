"""The sockets that a daemon makes for its clients."""

from pathlib import Path

import zmq

from inhand.controller.errors import StartError
from inhand.controller.system.paths import socket_address

MAX_WIRE_SIZE = 1 << 20
"""A client that sends a larger message is cut off [bytes]."""

_WAITING_AT_MOST = 1000
_REPLIES_AT_MOST = 10_000


def bind(directory: Path) -> tuple["zmq.Socket[bytes]", "zmq.Socket[bytes]"]:
    """Makes the command socket (ROUTER) and the state socket (PUB) in a directory.

    Raises:
        StartError: a socket cannot be made there.
    """
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context.instance()
    commands = context.socket(zmq.ROUTER)
    # Far above what is read: a message in between gets an error reply, one beyond no reader.
    commands.set(zmq.MAXMSGSIZE, MAX_WIRE_SIZE)
    commands.set(zmq.RCVHWM, _WAITING_AT_MOST)
    states = context.socket(zmq.PUB)
    for socket in (commands, states):
        socket.set(zmq.SNDHWM, 1000)
        socket.set(zmq.LINGER, 200)
    # A burst of stops is answered at once, and no reply of it may be dropped.
    commands.set(zmq.SNDHWM, _REPLIES_AT_MOST)
    for socket, name in ((commands, "command"), (states, "state")):
        address = socket_address(directory, name)
        try:
            socket.bind(address)
        except zmq.ZMQError as error:
            raise StartError(
                f"socket {address}: {error}; give a directory that can be written to, "
                "with a short path"
            ) from error
    return commands, states
