"""A serial port for other programs: a pty under a name that stays the same."""

import os
import pty
import select
import tty
from contextlib import suppress
from pathlib import Path

from inhand.errors import InhandError
from inhand.sim_backend.transmission_time import speed_of

_CLOSED = 0.01
"""Time between two looks at a port that no program has open [s]."""


class LinkedPty:
    """A pty of which this process holds only the inner end.

    Nobody but its clients has the port open: they may lock it, and find each other. When the last
    client has closed it, the link points to a new pty, as a lock of the old one does not end. The
    old one stays open until the next time: a client may have read the link just before.

    Args:
        link: name of the port, a symbolic link.
    """

    def __init__(self, link: Path) -> None:
        self.link, self._file, self._name = link, -1, ""
        self._in_use = False
        self._former, self._former_name = -1, ""

    def open(self) -> None:
        """Makes pty and link.

        Raises:
            InhandError: there is a file at the link's path, or it cannot be made.
        """
        if self.link.exists() and not self.link.is_symlink():
            raise InhandError(f"{self.link} exists and is not a link; choose another --port-link")
        self._file, self._name = _new_pty()
        try:
            self._point_to(self._name)
        except OSError as error:
            self.close()
            raise InhandError(f"the port link {self.link} cannot be made: {error}") from error

    def close(self) -> None:
        """Removes the link, unless it points to another port now. Safe to call twice."""
        if self._file < 0:
            return
        if self.link.is_symlink() and os.readlink(self.link) == self._name:
            self.link.unlink()
        os.close(self._file)
        self._file = -1
        self._drop_former()

    @property
    def speed(self) -> int:
        """Baud rate that the client has set [bit/s]."""
        return speed_of(self._file)

    def receive(self, patience: float, *others: int) -> tuple[bytes, list[int]]:
        """Waits for bytes of a client.

        Args:
            patience: longest time to wait [s].
            others: more files to wait for.

        Returns:
            The bytes that came; those of the other files that are readable.
        """
        if _hung_up(self._file):
            if self._in_use:
                self._renew()
            elif self._former >= 0 and not _hung_up(self._former):
                self._go_back()
            return b"", select.select(others, (), (), min(patience, _CLOSED))[0]
        self._in_use = True
        ready = select.select((self._file, *others), (), (), patience)[0]
        data = b""
        if self._file in ready:
            ready.remove(self._file)
            # The client may have closed the port meanwhile, or another one opened it.
            with suppress(OSError):
                data = os.read(self._file, 65536)
        return data, ready

    def send(self, answer: bytes) -> None:
        """Sends bytes to the client; they are lost if it does not read, as on a real line."""
        with suppress(OSError):
            os.write(self._file, answer)

    def _renew(self) -> None:
        """Replaces a pty that was closed."""
        self._drop_former()
        self._former, self._former_name = self._file, self._name
        self._file, self._name = _new_pty()
        self._in_use = False
        self._point_to(self._name)

    def _go_back(self) -> None:
        """Serves the former pty again: a client has opened it."""
        self._file, self._former = self._former, self._file
        self._name, self._former_name = self._former_name, self._name
        self._point_to(self._name)

    def _drop_former(self) -> None:
        if self._former >= 0:
            os.close(self._former)
            self._former = -1

    def _point_to(self, name: str) -> None:
        # Replaced in one step, so that the link always points to a port.
        new = self.link.with_name(f".{self.link.name}.{os.getpid()}")
        new.unlink(missing_ok=True)
        new.symlink_to(name)
        new.replace(self.link)


def _new_pty() -> tuple[int, str]:
    """A pty in raw mode: its inner end, and the name of the outer one."""
    inner, outer = pty.openpty()
    tty.setraw(outer)
    name = os.ttyname(outer)
    os.close(outer)
    os.set_blocking(inner, False)
    return inner, name


def _hung_up(file: int) -> bool:
    """Whether no program has the outer end open, and all that came was read."""
    poll = select.poll()
    poll.register(file, select.POLLIN)
    happened = poll.poll(0)
    return bool(happened) and happened[0][1] & (select.POLLHUP | select.POLLIN) == select.POLLHUP
