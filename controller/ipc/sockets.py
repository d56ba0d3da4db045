"""The two sockets that a daemon makes for its clients: commands, and state."""

from collections.abc import Sequence
from pathlib import Path

from inhand.controller.errors import StartError
from inhand.controller.ipc.listener import Listener
from inhand.controller.ipc.zmtp import FRAME_COST

MAX_WIRE_SIZE = 1 << 20
"""A client that sends a larger message, all frames together, is disconnected [bytes]."""

SUBSCRIPTIONS = 64
"""Most topics of one subscriber."""

_TOPIC = 64
"""Longest topic [bytes]."""

_AT_ONCE = 100


class StateSocket:
    """The publishing socket: each message goes to the clients that subscribed to its topic.

    A client that does not read gets no more messages until it has read those that wait for it.
    """

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._topics: dict[int, set[bytes]] = {}

    def fileno(self) -> int:
        """Descriptor that is readable when `update` has something to do."""
        return self._listener.fileno()

    def update(self) -> None:
        """Accepts clients, and takes their subscriptions: 1 and a topic, or 0 and a topic."""
        for number, frames in self._listener.receive(_AT_ONCE):
            topics = self._topics.setdefault(number, set())
            change, topic = frames[-1][:1], frames[-1][1:]
            if change == b"\x01" and len(topics) < SUBSCRIPTIONS:
                topics.add(topic)
            elif change == b"\x00":
                topics.discard(topic)
        gone = self._topics.keys() - self._listener.connections.keys()
        for number in gone:
            del self._topics[number]

    def send_multipart(self, frames: Sequence[bytes]) -> None:
        """Publishes a message; its first frame is the topic."""
        topic = frames[0]
        for number, topics in tuple(self._topics.items()):
            if any(topic.startswith(prefix) for prefix in topics):
                self._listener.send(number, frames)

    def close(self) -> None:
        """Closes the socket and its connections."""
        self._listener.close()


def bind(directory: Path) -> tuple[Listener, StateSocket]:
    """Makes the command socket (ROUTER) and the state socket (PUB) in a directory.

    Raises:
        StartError: a socket cannot be made there.
    """
    commands = Listener(
        directory / "command.sock",
        kind=b"ROUTER",
        partners=(b"DEALER", b"REQ", b"ROUTER"),
        most=MAX_WIRE_SIZE,
    ).open()
    try:
        states = Listener(
            directory / "state.sock",
            kind=b"PUB",
            partners=(b"SUB", b"XSUB"),
            most=1 + _TOPIC + FRAME_COST,
        ).open()
    except StartError:
        commands.close()
        raise
    return commands, StateSocket(states)
