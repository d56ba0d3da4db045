"""Search for other programs on the port, in a thread, when replies are missing or unasked for."""

import threading

from inhand.hardware.dynamixel.bus import Bus
from inhand.hardware.dynamixel.port_users import users_of
from inhand.hardware.errors import BusError

PAUSE = 5.0
"""Shortest time between two searches [s]."""
_GENTLE = 0.002
"""Pause after each process, so that a tick is not held up [s]."""


class UserSearch:
    """Looks for other users of a port in a thread of its own, when something is suspicious.

    Args:
        bus: the bus on the port.

    Attributes:
        found: the users at the last search, as `name (pid)`.
    """

    def __init__(self, bus: Bus) -> None:
        self.found: list[str] = []
        self._bus, self._port, self._strays = bus, bus.port, 0
        self._not_before = float("-inf")
        self._thread: threading.Thread | None = None

    @property
    def problem(self) -> str:
        """Message with the other users and the remedy; empty if there are none."""
        if not self.found:
            return ""
        users = ", ".join(self.found)
        return (
            f"{users} uses {self._port} too, and takes replies away: only one program may use a "
            f"bus; end {users}"
        )

    def watch(self) -> None:
        """Begins a search if bytes came that nobody here asked for, or replies were missing.

        As long as others use the port, every search is followed by another one.
        """
        if self.found or self._bus.strays != self._strays:
            self._strays = self._bus.strays
            self.suspect()

    def explained(self, error: BusError) -> BusError:
        """A failed read, with the other users that may have caused it."""
        self.suspect()
        return BusError(f"{error}; {self.problem}") if self.found else error

    def suspect(self) -> None:
        """Begins a search, unless one is in progress or was made just before."""
        now = self._bus.clock.now()
        if now < self._not_before or (self._thread is not None and self._thread.is_alive()):
            return
        self._not_before = now + PAUSE
        self._thread = threading.Thread(target=self._search, name="port users", daemon=True)
        self._thread.start()

    def _search(self) -> None:
        self.found = users_of(self._port, _GENTLE)
