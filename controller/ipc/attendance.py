"""Which programs that may command are connected, and for how long none has been."""

from collections.abc import Callable, Mapping

from inhand.controller.ipc.authority import Sender, local
from inhand.controller.ipc.connection import Connection

REMOTE = 10.0
"""A key counts as connected for this time after its latest request [s].

The gateway keeps the connection of a client that has gone.
"""


class Attendance:
    """Updated by the server's thread, read by the tick.

    Args:
        own: whether a process id is that of the gateway.
        now: returns the daemon's time [s].
    """

    def __init__(self, own: Callable[[int], bool], now: Callable[[], float]) -> None:
        self._own, self._now = own, now
        self._programs: frozenset[int | str] = frozenset()
        self._connections: frozenset[int] = frozenset()
        self._senders: dict[int | str, Sender] = {}
        self._heard: dict[str, float] = {}
        self._left = now()

    def update(self, connections: Mapping[int, Connection]) -> None:
        """Takes note of the present connections to the command socket."""
        if self._connections == connections.keys():
            return
        if self._programs:
            self._left = self._now()
        self._connections = frozenset(connections)
        self._programs = frozenset(
            one.process for one in connections.values() if not self._own(one.process)
        )
        self._senders = {key: one for key, one in self._senders.items() if self.connected(one)}

    def sender(self, connection: Connection | None) -> Sender | None:
        """The program at the other end of a connection; a request of it has come."""
        if connection is None:
            return None
        if self._own(connection.process):
            role, _, name = connection.session.identity.decode(errors="replace").partition(" ")
            if role == "observe":
                return None
            self._heard[name] = self._now()
            return Sender(name, f"key {name}")
        known = self._senders.get(connection.process)
        if known is None:
            known = self._senders[connection.process] = local(connection.process, connection.user)
        return known

    def connected(self, sender: Sender) -> bool:
        """Whether a program still has a connection."""
        if isinstance(sender.key, str):
            return self._now() - self._heard.get(sender.key, -REMOTE) < REMOTE
        return sender.key in self._programs

    def unattended(self) -> float:
        """For how long nobody who may command has been connected [s]; 0 while somebody is."""
        if self._programs:
            return 0.0
        heard = max(tuple(self._heard.values()), default=self._left)
        return max(0.0, self._now() - max(heard, self._left))
