"""A half-duplex servo bus on a serial port: requests out, replies in, never longer than told."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from inhand.hardware.dynamixel import requests
from inhand.hardware.dynamixel.fast_read import FastChoice, FastReply, reply_size
from inhand.hardware.dynamixel.line_clock import LineClock
from inhand.hardware.dynamixel.port import Port
from inhand.hardware.dynamixel.protocol import Instruction, Packet, Parser
from inhand.hardware.dynamixel.replies import Replies
from inhand.hardware.dynamixel.reply_timing import LONGEST, Beginnings
from inhand.hardware.errors import BusError

BRING_UP_PATIENCE = 0.1
"""[s], where nothing presses."""
TICK_PATIENCE = LONGEST
"""[s], so that a lost reply and a second attempt take little more than a tick."""

END_OF_REPLY = 0.001
"""Silence that ends a reply which has begun, beside the time of `GATHERED` bytes [s]."""
GATHERED = 64
"""Bytes that an adapter may gather before it hands them over."""

_REQUESTS_KEPT = 64

_PINGS = 2
"""Attempts to find a servo."""


class Bus:
    """The one owner of a serial port with servos on it.

    Args:
        port: device file.
        baud: bits a second.
        readonly: whether to send nothing that changes a servo.
        clock: of all times here; CLOCK_MONOTONIC if not given.

    Attributes:
        clock: of all times here.
        missing: replies that never came, by servo id.
        retried: how often a servo was asked once more, by its id.
        refused: replies that were an error, by servo id.
        last_sent: when the last request went out [s].
        patience: how long servos may take to begin a reply, beside the time of its bytes on the
            wire [s].
    """

    def __init__(
        self, port: str, baud: int, *, readonly: bool = False, clock: LineClock | None = None
    ) -> None:
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
        self._begins = Beginnings()
        self._line = Port(port, baud, clock)
        self.clock = self._line.clock
        self._ready: dict[tuple[int, int, tuple[int, ...], bool], bytes] = {}

    @property
    def discarded(self) -> int:
        """Bytes that came and belonged to no intact reply."""
        return self._parser.discarded + self._noise

    @property
    def is_open(self) -> bool:
        """Whether this process has the port."""
        return self._line.is_open

    def open(self) -> None:
        """Opens the port for this process alone.

        Raises:
            BusError: there is no such port, or somebody else has it.
        """
        self._line.open()

    def close(self) -> None:
        """Releases the port. Safe to call twice."""
        self._line.close()

    def ask(
        self, request: bytes, ids: Sequence[int], size: int | None, deadline: float | None = None
    ) -> dict[int, Packet]:
        """Sends a request and gathers the replies.

        Args:
            request: packet to send.
            ids: servos that reply, each once.
            size: bytes of data in each reply; longer and shorter ones do not count. None takes
                any.
            deadline: when to give up at the latest [s].

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

        self._gather(take, len(request), len(ids) * (11 + (size or 0)), deadline)
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
    ) -> Replies:
        """Reads the same registers of several servos; asks the silent ones again.

        The first of several attempts is a fast read, as long as such reads work on this bus. Where
        one breaks off, the second attempt leaves out the servo that fell silent: waiting for it
        would cost the others' time.
        """
        asked = tuple(ids)
        # A single attempt at less than all servos must not stand or fall with one of them.
        if attempts > 1 and len(asked) > 1 and self._fast.wanted():
            replies, again = self._fast_sync_read(address, length, asked, deadline)
            self._fast.note(replies.complete)
            attempts -= 1
        else:
            replies, again = Replies.none(asked, length), list(asked)
        for attempt in range(attempts):
            if not again or (deadline is not None and self.clock.now() >= deadline):
                break
            if attempt or len(again) < len(asked):
                self.retried.update(again)
            request = self._request(address, length, tuple(again), fast=False)
            for id, packet in self.ask(request, again, length, deadline).items():
                replies.put(id, packet.error, packet.data)
            again = replies.silent
        return replies

    def reply_time(self, count: int, length: int) -> float:
        """How long so many replies with so many bytes of data take on the wire [s]."""
        return 10 * count * (length + 11) / self.baud

    def sync_write(self, address: int, length: int, rows: Mapping[int, bytes]) -> None:
        """Writes the same registers of several servos, which do not reply.

        Raises:
            BusError: the port is gone, or only to be read.
        """
        self.tell(requests.sync_write(address, length, rows))

    def tell(self, request: bytes) -> None:
        """Sends a request that nobody replies to.

        Raises:
            BusError: the port is gone, or only to be read.
        """
        self._refuse_if_readonly()
        self._line.send(request)
        self.last_sent = self.clock.now()

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
        end, packets = self.clock.now() + duration, list[Packet]()
        while (left := end - self.clock.now()) > 0:
            packets += self._parser.feed(self._line.receive(left))
        return [packet for packet in packets if packet.instruction == Instruction.STATUS]

    def reboot(self, id: int) -> Packet | None:
        """Starts a servo anew; its reply, None if none came.

        Raises:
            BusError: the port is gone, or only to be read.
        """
        self._refuse_if_readonly()
        return self.ask(requests.reboot(id), [id], 0).get(id)

    def _fast_sync_read(
        self, address: int, length: int, ids: tuple[int, ...], deadline: float | None
    ) -> tuple[Replies, list[int]]:
        """The replies, and whom to ask again."""
        request, steady = self._request(address, length, ids, fast=True), self._begins.steady
        self._send(request)
        reply = FastReply(ids, length)
        self._gather(reply.feed, len(request), reply_size(len(ids), length), deadline)
        replies, wasted = reply.replies()
        self._noise += wasted
        if replies.complete:
            return replies, []
        silent = replies.silent
        self.missing.update(silent)
        # On a line where replies begin late now and then, all may answer yet.
        fallen = ids[0] if reply.empty and steady else reply.broke_off_at
        return replies, [id for id in silent if id != fallen]

    def _request(self, address: int, length: int, ids: tuple[int, ...], *, fast: bool) -> bytes:
        """A synchronous read; the same ones are asked for over and over."""
        key = address, length, ids, fast
        ready = self._ready.get(key)
        if ready is None:
            if len(self._ready) > _REQUESTS_KEPT:
                self._ready.clear()
            ready = self._ready[key] = requests.sync_read(address, length, ids, fast=fast)
        return ready

    def _gather(
        self, take: Callable[[bytes], bool], asking: int, reply: int, deadline: float | None
    ) -> None:
        """Hands over what arrives until it is enough, or time is up; sizes are in bytes."""
        presses = self.patience <= TICK_PATIENCE
        now = sent = self.last_sent
        last = sent + 10 * (asking + reply) / self.baud + self.patience
        if deadline is not None:
            last = min(last, deadline)
        begins, begun = min(last, sent + 10 * asking / self.baud + self._begins.patience()), False
        end = begins if presses else last
        while True:
            data = self._line.receive(end - now)
            now = self.clock.now()
            if data and not begun:
                begun = True
                self._begins.note(now - sent)
            if take(data):
                return
            if now >= end:
                if not begun and end < last:
                    self._begins.note_none()
                return
            if data and presses:
                end = min(last, now + END_OF_REPLY + 10 * GATHERED / self.baud)

    def _send(self, packet: bytes) -> None:
        # What is still there answers an older request.
        self._noise += self._line.purge()
        self._line.send(packet)
        self.last_sent = self.clock.now()
        self._parser.clear()

    def _refuse_if_readonly(self) -> None:
        if self._readonly:
            raise BusError(f"serial port {self.port} is only to be read; nothing was written")
