"""A half-duplex servo bus on a serial port: requests out, replies in, never longer than told."""

import logging
import os
import select
import termios
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import serial

from hardware import requests
from hardware.errors import BusError
from hardware.fast_read import FastReply, reply_size
from hardware.protocol import Instruction, Packet, Parser

log = logging.getLogger(__name__)

_PORT_ERRORS = serial.SerialException, OSError, termios.error

BRING_UP_PATIENCE = 0.1
"""[s], where nothing presses."""
TICK_PATIENCE = 0.004
"""[s], so that a lost reply and a second attempt take little more than a tick."""

END_OF_REPLY = 0.001
"""Silence [s] that ends a reply of which the beginning came, once its time on the wire is over."""

_PINGS = 2
"""Attempts to find a servo."""

_FAILURES_TO_FALL_BACK = 3
_FIRST_PAUSE, _LONGEST_PAUSE = 50, 1600
"""Reads without fast ones after they failed, at first and at most."""


class FastChoice:
    """Whether to ask for fast replies: not while they fail, and again once the bus is better."""

    def __init__(self) -> None:
        self._failures, self._left, self._pause = 0, 0, _FIRST_PAUSE

    def wanted(self) -> bool:
        """Whether the next read is to be a fast one."""
        if self._left:
            self._left -= 1
            return False
        return True

    def note(self, worked: bool) -> None:
        """Takes what came of a fast read."""
        if worked:
            self._failures, self._pause = 0, _FIRST_PAUSE
            return
        self._failures += 1
        if self._failures >= _FAILURES_TO_FALL_BACK:
            self._left = self._pause
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)


class Bus:
    """The one owner of a serial port with servos on it.

    Args:
        port: device file.
        baud: bits a second.
        readonly: whether to send nothing that changes a servo.

    Attributes:
        missing: replies that never came, by servo id.
        retried: how often a servo was asked once more, by its id.
        refused: replies that were an error, by servo id.
        last_sent: when the last request went out [s, CLOCK_MONOTONIC].
        patience: how long servos may take to begin a reply, beside the time of its bytes on the
            wire [s].
    """

    def __init__(self, port: str, baud: int, *, readonly: bool = False) -> None:
        self.port, self.baud = port, baud
        self.patience = BRING_UP_PATIENCE
        self.missing: Counter[int] = Counter()
        self.retried: Counter[int] = Counter()
        self.refused: Counter[int] = Counter()
        self.last_sent = 0.0
        self._readonly = readonly
        self._fast = FastChoice()
        self._parser = Parser()
        self._noise = 0
        self._serial: serial.Serial | None = None

    @property
    def discarded(self) -> int:
        """Bytes that came and belonged to no intact reply."""
        return self._parser.discarded + self._noise

    @property
    def is_open(self) -> bool:
        """Whether this process has the port."""
        return self._serial is not None

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

    def ask(
        self, request: bytes, ids: Sequence[int], size: int | None, deadline: float | None = None
    ) -> dict[int, Packet]:
        """Sends a request and gathers the replies.

        Args:
            request: packet to send.
            ids: servos that reply, each once.
            size: bytes of data in each reply; longer and shorter ones do not count. None takes
                any.
            deadline: when to give up at the latest [s, CLOCK_MONOTONIC].

        Returns:
            The replies that came in time, by servo id.

        Raises:
            BusError: the port is gone.
        """
        self._send(request)
        parser, replies, wanted = self._parser, dict[int, Packet](), set(ids)

        def take(data: bytes) -> bool:
            for packet in parser.feed(data):
                # Some adapters echo what they send, which is no status.
                strange = packet.instruction != Instruction.STATUS or packet.id not in wanted
                if strange or packet.id in replies:
                    self._noise += len(packet.parameters) + 10
                    continue
                if packet.error & 0x7F:
                    self.refused[packet.id] += 1
                elif size is not None and len(packet.data) != size:
                    self._noise += len(packet.data) + 11
                    continue
                replies[packet.id] = packet
            return len(replies) == len(wanted)

        self._gather(take, len(request) + len(ids) * (11 + (size or 0)), deadline)
        self.missing.update(wanted - replies.keys())
        return replies

    def sync_read(
        self,
        address: int,
        length: int,
        ids: Sequence[int],
        *,
        attempts: int = 1,
        deadline: float | None = None,
    ) -> dict[int, Packet]:
        """Reads the same registers of several servos; asks the silent ones again.

        The first attempt is a fast read, as long as such reads work on this bus.
        """
        replies: dict[int, Packet] = {}
        silent = list(ids)
        for attempt in range(attempts):
            if attempt:
                if deadline is not None and time.monotonic() >= deadline:
                    break
                self.retried.update(silent)
            # A single attempt at less than all servos must not stand or fall with one of them.
            if attempt == 0 and attempts > 1 and len(silent) > 1 and self._fast.wanted():
                replies = self._fast_sync_read(address, length, silent, deadline)
                self._fast.note(len(replies) == len(silent))
            else:
                request = requests.sync_read(address, length, silent)
                replies |= self.ask(request, silent, length, deadline)
            silent = [id for id in ids if id not in replies]
            if not silent:
                break
        return replies

    def sync_write(self, address: int, length: int, rows: Mapping[int, bytes]) -> None:
        """Writes the same registers of several servos, which do not reply.

        Raises:
            BusError: the port is gone, or only to be read.
        """
        self._refuse_if_readonly()
        self._send(requests.sync_write(address, length, rows))

    def read(self, id: int, address: int, length: int, deadline: float | None = None) -> bytes:
        """Reads registers of one servo; nothing if it did not answer, or refused."""
        replies = self.ask(requests.read(id, address, length), [id], length, deadline)
        return replies[id].data if id in replies else b""

    def write(self, id: int, address: int, data: bytes) -> Packet | None:
        """Writes registers of one servo; its reply, None if none came.

        Raises:
            BusError: the port is gone, or only to be read.
        """
        self._refuse_if_readonly()
        return self.ask(requests.write(id, address, data), [id], 0).get(id)

    def ping(self, ids: Sequence[int]) -> dict[int, tuple[int, int]]:
        """Model number and firmware of those of these servos that are there, one after another."""
        found = {}
        for id in ids:
            for _ in range(_PINGS):
                if reply := self.ask(requests.ping(id), [id], 3).get(id):
                    break
            if reply is not None and len(reply.data) == 3:
                found[id] = int.from_bytes(reply.data[:2], "little"), reply.data[2]
        return found

    def listen(self, request: bytes, duration: float) -> list[Packet]:
        """Sends a request; every status packet that comes within a time [s], whoever it is from."""
        self._send(request)
        end, packets = time.monotonic() + duration, list[Packet]()
        while (left := end - time.monotonic()) > 0:
            packets += self._parser.feed(self._receive(left))
        return [packet for packet in packets if packet.instruction == Instruction.STATUS]

    def reboot(self, id: int) -> Packet | None:
        """Starts a servo anew; its reply, None if none came.

        Raises:
            BusError: the port is gone, or only to be read.
        """
        self._refuse_if_readonly()
        return self.ask(requests.reboot(id), [id], 0).get(id)

    def _fast_sync_read(
        self, address: int, length: int, ids: Sequence[int], deadline: float | None
    ) -> dict[int, Packet]:
        request = requests.sync_read(address, length, ids, fast=True)
        self._send(request)
        reply = FastReply(ids, length)

        def take(data: bytes) -> bool:
            reply.feed(data)
            return reply.complete

        self._gather(take, len(request) + reply_size(len(ids), length), deadline)
        self._noise += reply.discarded
        self.missing.update(id for id in ids if id not in reply.replies)
        return reply.replies

    def _gather(self, take: Callable[[bytes], bool], size: int, deadline: float | None) -> None:
        """Hands over what arrives until it is enough, or time is up."""
        sent = time.monotonic() + 10 * size / self.baud
        end = sent + self.patience
        if deadline is not None:
            end = min(end, deadline)
        while True:
            data = self._receive(end - time.monotonic())
            if take(data):
                return
            now = time.monotonic()
            if now > end:
                return
            if data and self.patience <= TICK_PATIENCE:
                end = min(end, max(sent, now) + END_OF_REPLY)

    def _send(self, packet: bytes) -> None:
        port = self._open_port()
        try:
            # What is still there answers an older request.
            self._noise += port.in_waiting
            port.reset_input_buffer()
            self._parser.clear()
            sent = os.write(port.fileno(), packet)
        except _PORT_ERRORS as error:
            raise self._gone(error) from error
        self.last_sent = time.monotonic()
        if sent != len(packet):
            raise BusError(f"serial port {self.port} takes no more bytes; does anybody read them?")

    def _receive(self, patience: float) -> bytes:
        port = self._open_port()
        try:
            select.select([port.fileno()], [], [], max(0.0, patience))
            data: bytes = port.read(4096)
        except _PORT_ERRORS as error:
            raise self._gone(error) from error
        return data

    def _refuse_if_readonly(self) -> None:
        if self._readonly:
            raise BusError(f"serial port {self.port} is only to be read; nothing was written")

    def _open_port(self) -> serial.Serial:
        if self._serial is None:
            raise BusError(f"serial port {self.port} is not open")
        return self._serial

    def _gone(self, error: Exception) -> BusError:
        return BusError(f"serial port {self.port} was lost: {error}; is the cable plugged in?")
