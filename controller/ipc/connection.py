"""One connection of a local client to a socket of the daemon."""

import select
import socket
import struct
from collections import Counter
from collections.abc import Mapping

from inhand.controller.ipc.zmtp import Session

LONG = 2_000
"""After a message above this size, nothing is received of a client until it has been dealt with
[bytes]. Requests without lists are shorter."""

_CREDENTIALS = struct.Struct("3i")


class Connection:
    """One client.

    Attributes:
        socket: non-blocking.
        session: decodes what it sends.
        process: process id of the client, as the kernel reports it.
        user: user id of the client.
        begun: when it connected [s].
        unread: bytes that wait until the client reads.
        blocked: whether the kernel takes no more of them now.
        lost: messages that it did not get because it did not read.
    """

    def __init__(self, line: socket.socket, session: Session, begun: float) -> None:
        self.socket, self.session, self.begun = line, session, begun
        credentials = line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        self.process, self.user, _ = _CREDENTIALS.unpack(credentials)
        self.unread = bytearray()
        self.blocked = False
        self.lost = 0

    @property
    def wanted(self) -> int:
        """The events of epoll that it waits for."""
        return select.EPOLLIN | (select.EPOLLOUT if self.blocked else 0)

    @property
    def held(self) -> int:
        """Bytes of incomplete and of unread messages."""
        return self.session.buffered + len(self.unread)


def dispensable(connections: Mapping[int, Connection]) -> int:
    """The oldest connection of the process that has the most; one that waits for nothing."""
    counts = Counter(one.process for one in connections.values())
    most = max(counts.values())
    return min(
        (n for n, one in connections.items() if counts[one.process] == most),
        key=lambda n: (connections[n].session.handshaken, n),
    )
