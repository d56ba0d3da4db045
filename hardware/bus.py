"""A half-duplex servo bus on a serial port: requests out, replies in, never longer than told."""

import logging
import os
import select
import termios
import time
from collections import Counter
from collections.abc import Sequence

import serial

from hardware.errors import BusError
from hardware.protocol import (
    Instruction,
    Packet,
    Parser,
    encode,
    encode_sync_read,
    encode_sync_write,
)

log = logging.getLogger(__name__)

_PORT_ERRORS = serial.SerialException, OSError, termios.error

BRING_UP_PATIENCE = 0.1
"""[s], where nothing presses."""
TICK_PATIENCE = 0.004
"""[s], so that a lost reply and a second attempt take little more than a tick."""


class Bus:
    """The one owner of a serial port with servos on it.

    Args:
        port: device file.
        baud: bits a second.

    Attributes:
        missing: replies that never came, by servo id.
        patience: how long servos may take to begin a reply, beside the time of its bytes on the
            wire [s].
    """

    def __init__(self, port: str, baud: int) -> None:
        self.port, self.baud = port, baud
        self.patience = BRING_UP_PATIENCE
        self.missing: Counter[int] = Counter()
        self._parser = Parser()
        self._serial: serial.Serial | None = None

    def open(self) -> None:
        """Opens the port for this process alone.

        Raises:
            BusError: there is no such port, or somebody else has it.
        """
        self.close()
        if not os.path.exists(self.port):
            raise BusError(
                f"serial port {self.port}: no such device; plug the hand in, or name its port "
                "under [bus] in the configuration"
            )
        try:
            port = serial.Serial(self.port, self.baud, timeout=0, exclusive=True)
        except (*_PORT_ERRORS, ValueError) as error:
            raise BusError(
                f"serial port {self.port}: {error}; is it in use, and may this user open it?"
            ) from error
        try:
            port.set_low_latency_mode(True)
        except (OSError, ValueError, NotImplementedError) as error:
            # Only adapters that gather bytes have such a mode, and only they need it.
            log.info("serial port %s has no low-latency mode: %s", self.port, error)
        self._serial = port

    def close(self) -> None:
        """Releases the port. Safe to call twice."""
        if self._serial is not None:
            self._serial.close()
            self._serial = None

    def ask(self, request: bytes, ids: Sequence[int], size: int) -> dict[int, Packet]:
        """Sends a request and gathers the replies.

        Args:
            request: packet to send.
            ids: servos that reply, each once.
            size: bytes of data in each reply; longer and shorter ones do not count.

        Returns:
            The replies that came in time, by servo id.

        Raises:
            BusError: the port is gone.
        """
        self._send(request)
        parser, replies, wanted = self._parser, dict[int, Packet](), set(ids)
        bits = 10 * (len(request) + len(ids) * (11 + size))
        deadline = time.monotonic() + bits / self.baud + self.patience
        while len(replies) < len(wanted):
            for packet in parser.feed(self._receive(deadline - time.monotonic())):
                # Some adapters echo what they send, which is no status.
                if packet.instruction != Instruction.STATUS or packet.id not in wanted:
                    continue
                if len(packet.data) == size or packet.error & 0x7F:
                    replies[packet.id] = packet
            if time.monotonic() > deadline:
                break
        self.missing.update(wanted - replies.keys())
        return replies

    def sync_read(self, address: int, length: int, ids: Sequence[int]) -> dict[int, Packet]:
        """Reads the same registers of several servos; see `ask`."""
        return self.ask(encode_sync_read(address, length, list(ids)), ids, length)

    def sync_write(self, address: int, length: int, rows: dict[int, bytes]) -> None:
        """Writes the same registers of several servos, which do not reply.

        Raises:
            BusError: the port is gone.
        """
        self._send(encode_sync_write(address, length, rows))

    def write(self, id: int, address: int, data: bytes) -> Packet | None:
        """Writes registers of one servo; its reply, None if none came.

        Raises:
            BusError: the port is gone.
        """
        request = encode(id, Instruction.WRITE, address.to_bytes(2, "little") + data)
        return self.ask(request, [id], 0).get(id)

    def _send(self, packet: bytes) -> None:
        port = self._open_port()
        try:
            # What is still there answers an older request.
            port.reset_input_buffer()
            self._parser.clear()
            port.write(packet)
        except _PORT_ERRORS as error:
            raise self._gone(error) from error

    def _receive(self, patience: float) -> bytes:
        port = self._open_port()
        try:
            select.select([port.fileno()], [], [], max(0.0, patience))
            data: bytes = port.read(4096)
        except _PORT_ERRORS as error:
            raise self._gone(error) from error
        return data

    def _open_port(self) -> serial.Serial:
        if self._serial is None:
            raise BusError(f"serial port {self.port} is not open")
        return self._serial

    def _gone(self, error: Exception) -> BusError:
        return BusError(f"serial port {self.port} was lost: {error}; is the cable plugged in?")
