"""A serial port, opened by one process alone: sends bytes, and receives them with a timeout."""

import fcntl
import logging
import os
import select
import termios
from contextlib import suppress

import serial

from inhand.hardware.dynamixel.line_clock import LineClock, RealLineClock
from inhand.hardware.dynamixel.port_users import not_permitted, users_of
from inhand.hardware.errors import BusCongestedError, BusError

log = logging.getLogger(__name__)

_PORT_ERRORS = serial.SerialException, OSError, termios.error
_LARGEST = 4096
"""Largest number of bytes of one read."""


class Port:
    """A serial port.

    pyserial opens and configures it. Sending and receiving use the file descriptor directly, which
    is faster.

    Args:
        path: device file.
        baud: baud rate [bit/s].
        clock: time source; real time if not given.
    """

    def __init__(self, path: str, baud: int, clock: LineClock | None = None) -> None:
        self.path, self.baud = path, baud
        self.clock: LineClock = RealLineClock() if clock is None else clock
        self._serial: serial.Serial | None = None
        self._file = -1

    @property
    def is_open(self) -> bool:
        """Whether this process has the port open."""
        return self._serial is not None

    def open(self, *, alone: bool = True) -> None:
        """Opens the port for this process alone: programs without privileges cannot open it then.

        Args:
            alone: whether to refuse a port that another process has open already.

        Raises:
            BusError: there is no such port, it may not be opened, or another process uses it.
        """
        self.close()
        if not os.path.exists(self.path):
            raise BusError(
                f"serial port {self.path}: no such device; plug the hand in, or name its port "
                "under [bus] in the configuration"
            )
        if not os.access(self.path, os.R_OK | os.W_OK):
            raise BusError(f"serial port {self.path}: {': '.join(not_permitted(self.path))}")
        if alone and (users := users_of(self.path)):
            raise self._in_use(users)
        try:
            port = serial.Serial(self.path, self.baud, timeout=0, exclusive=True)
        except (*_PORT_ERRORS, ValueError) as error:
            if users := users_of(self.path):
                raise self._in_use(users) from error
            raise BusError(
                f"serial port {self.path}: {error}; is it in use, and may this user open it?"
            ) from error
        # pyserial's lock is only seen by programs that ask for it, which the vendor's SDK does not.
        fcntl.ioctl(port.fileno(), termios.TIOCEXCL)
        try:
            port.set_low_latency_mode(True)
        except (OSError, ValueError, NotImplementedError) as error:
            # Only adapters that buffer bytes have this mode, and only they need it.
            log.info("serial port %s has no low-latency mode: %s", self.path, error)
        self._serial, self._file = port, port.fileno()

    def close(self) -> None:
        """Releases the port. Safe to call twice."""
        if self._serial is not None:
            with suppress(OSError):
                # A pseudo-terminal outlives its last user, and would stay closed to others.
                fcntl.ioctl(self._file, termios.TIOCNXCL)
            self._serial.close()
            self._serial, self._file = None, -1

    def purge(self) -> int:
        """Discards received bytes; returns their number.

        Raises:
            BusError: the port was lost.
        """
        self._require_open()
        stale = 0
        try:
            while piece := os.read(self._file, _LARGEST):
                stale += len(piece)
                if len(piece) < _LARGEST:
                    break
        except BlockingIOError:
            # Another program has set the port so that a read of nothing is an error.
            return stale
        except _PORT_ERRORS as error:
            raise self._gone(error) from error
        return stale

    def send(self, packet: bytes) -> None:
        """Sends a packet.

        Raises:
            BusCongestedError: the port's send buffer is full.
            BusError: the port was lost.
        """
        self._require_open()
        try:
            sent = os.write(self._file, packet)
        except BlockingIOError:
            sent = 0
        except _PORT_ERRORS as error:
            raise self._gone(error) from error
        self.clock.note_sent(sent)
        if sent != len(packet):
            raise BusCongestedError(
                f"serial port {self.path}: its send buffer is full; is the hand there, and does no "
                "other program use the port?"
            )

    def receive(self, deadline: float) -> bytes:
        """The first bytes that arrive until `deadline` [s of the clock]; empty if none do.

        Raises:
            BusError: the port was lost.
        """
        self._require_open()
        try:
            while self.clock.wait_readable(self._file, deadline):
                try:
                    data = os.read(self._file, _LARGEST)
                except BlockingIOError:
                    # Another program has read the bytes.
                    continue
                if data:
                    return data
                # Another program may have read the bytes, and have set the port so that a read of
                # nothing is no error.
                if self._hung_up():
                    raise self._gone(OSError("it reports data, but a read returns none"))
        except _PORT_ERRORS as error:
            raise self._gone(error) from error
        return b""

    def _hung_up(self) -> bool:
        """Whether the other end of the port is gone."""
        poll = select.poll()
        poll.register(self._file, 0)
        return bool(poll.poll(0))

    def _require_open(self) -> None:
        if self._serial is None:
            raise BusError(f"serial port {self.path} is not open")

    def _in_use(self, users: list[str]) -> BusError:
        names = ", ".join(users)
        return BusError(
            f"serial port {self.path} is in use by {names}; only one program may use a bus: "
            f"end {names} (`inhand shutdown` ends the daemon)"
        )

    def _gone(self, error: Exception) -> BusError:
        return BusError(f"serial port {self.path} was lost: {error}; is the cable plugged in?")
