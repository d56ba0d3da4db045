"""A half-duplex servo bus on a serial port: sends requests and collects replies, with deadlines."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from inhand.hardware.dynamixel import requests
from inhand.hardware.dynamixel.fast_read import FastChoice, FastReply, reply_size
from inhand.hardware.dynamixel.line_clock import LineClock
from inhand.hardware.dynamixel.port import Port
from inhand.hardware.dynamixel.protocol import Instruction, Packet, Parser
from inhand.hardware.dynamixel.replies import Replies
from inhand.hardware.dynamixel.reply_timing import LONGEST, ReplyDelays, ReplyTimeout
from inhand.hardware.errors import BusError

BRING_UP_PATIENCE = 0.1
"""Reply timeout during bring-up [s]."""
TICK_PATIENCE = LONGEST
"""Reply timeout in a tick [s]: a lost reply and a second attempt take little more than a tick."""

END_OF_REPLY = 0.001
"""Silence that ends a reply which has begun, in addition to the time of `GATHERED` bytes [s]."""
GATHERED = 64
"""Bytes that an adapter may buffer before it passes them on."""

_REQUESTS_KEPT = 64

_PINGS = 2
"""Attempts to find a servo."""


class Bus:
    """The only owner of a serial port with servos on it.

    Args:
        port: device file.
        baud: baud rate [bit/s].
        readonly: whether to send nothing that changes a servo.
        clock: time source; CLOCK_MONOTONIC if not given.

    Attributes:
        clock: time source.
        missing: number of missing replies, by servo id.
        retried: number of repeated requests, by servo id.
        refused: number of error replies, by servo id.
        delays: of the replies.
        last_sent: time of the last request [s].
        patience: longest time until a reply begins, in addition to the time of its bytes on the
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
        self._noise, self._asked = 0, 0.0
        self._timeout, self.delays = ReplyTimeout(), ReplyDelays()
        self._line = Port(port, baud, clock)
        self.clock = self._line.clock
        self._ready: dict[tuple[int, int, tuple[int, ...], bool], bytes] = {}

    @property
    def discarded(self) -> int:
        """Number of received bytes that belonged to no intact reply."""
        return self._parser.discarded + self._noise

    @property
    def strays(self) -> int:
        """Number of discarded bytes and missing replies: both grow if others use the line."""
        return self.discarded + self.missing.total()

    @property
    def is_open(self) -> bool:
        """Whether this process has the port open."""
        return self._line.is_open

    def open(self, *, alone: bool = True) -> None:
        """Opens the port; see `Port.open`."""
        self._line.open(alone=alone)

    def close(self) -> None:
        """Releases the port. Safe to call twice."""
        self._line.close()

    def ask(
        self, request: bytes, ids: Sequence[int], size: int | None, deadline: float | None = None
    ) -> dict[int, Packet]:
        """Sends a request and collects the replies.

        Args:
            request: packet to send.
            ids: servos that reply, each once.
            size: bytes of data in each reply; replies of another length are ignored. None accepts
                any length.
            deadline: latest time to stop waiting [s].

        Returns:
            The replies that came in time, by servo id.

        Raises:
            BusError: the port was lost.
        """
        self._send(request)
        parser, replies, wanted = self._parser, dict[int, Packet](), set(ids)

        def take(data: bytes) -> bool:
            for packet in parser.feed(data):
                # Some adapters echo the request, which is not a status packet.
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
        """Reads the same registers of several servos; asks again those that did not answer.

        The first of several attempts is a fast sync read, as long as such reads work on this bus.
        If its reply breaks off, the second attempt omits the servo at which it broke off: waiting
        for that servo would delay the others.
        """
        asked = tuple(ids)
        # One silent servo ends a fast reply; a single attempt must not depend on one servo.
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
        """Time on the wire of `count` replies with `length` bytes of data each [s]."""
        return 10 * count * (length + 11) / self.baud

    def sync_write(self, address: int, length: int, rows: Mapping[int, bytes]) -> None:
        """Writes the same registers of several servos, which do not reply; see `tell`."""
        self.tell(requests.sync_write(address, length, rows))

    def tell(self, request: bytes) -> None:
        """Sends a request to which no servo replies.

        Raises:
            BusError: the port was lost, or was opened read-only.
        """
        self._refuse_if_readonly()
        self._line.send(request)
        self.last_sent = self.clock.now()

    def read(self, id: int, address: int, length: int, deadline: float | None = None) -> bytes:
        """Reads registers of one servo; empty if the servo did not answer, or refused."""
        replies = self.ask(requests.read(id, address, length), [id], length, deadline)
        return replies[id].data if id in replies else b""

    def write(self, id: int, address: int, data: bytes) -> Packet | None:
        """Writes registers of one servo, see `tell`; returns its reply, None if none came."""
        self._refuse_if_readonly()
        return self.ask(requests.write(id, address, data), [id], 0).get(id)

    def ping(self, ids: Sequence[int]) -> dict[int, tuple[int, int]]:
        """Pings servos one by one; returns model number and firmware of those that answer."""
        found = {}
        for id in ids:
            for _ in range(_PINGS):
                if reply := self.ask(requests.ping(id), [id], 3).get(id):
                    break
            if reply is not None and len(reply.data) == 3:
                found[id] = int.from_bytes(reply.data[:2], "little"), reply.data[2]
        return found

    def listen(self, request: bytes, duration: float, first: float) -> tuple[list[Packet], int]:
        """Sends a request; returns status packets and number of stray bytes.

        Waits `first` [s] for the first byte, and from then on `duration` [s].
        """
        self._send(request)
        self.delays.unsure = True
        before = self.discarded
        packets = self._parser.feed(self._line.receive(self.clock.now() + first))
        end = self.clock.now() + duration
        while self.clock.now() < end:
            packets += self._parser.feed(self._line.receive(end))
        self._parser.clear()
        status = [packet for packet in packets if packet.instruction == Instruction.STATUS]
        return status, self.discarded - before

    def reboot(self, id: int) -> Packet | None:
        """Reboots a servo, see `tell`; returns its reply, None if none came."""
        self._refuse_if_readonly()
        return self.ask(requests.reboot(id), [id], 0).get(id)

    def _fast_sync_read(
        self, address: int, length: int, ids: tuple[int, ...], deadline: float | None
    ) -> tuple[Replies, list[int]]:
        """The replies, and the ids of the servos to ask again."""
        request, steady = self._request(address, length, ids, fast=True), self._timeout.steady
        self._send(request)
        reply = FastReply(ids, length)
        self._gather(reply.feed, len(request), reply_size(len(ids), length), deadline)
        replies, wasted = reply.replies()
        self._noise += wasted
        if replies.complete:
            return replies, []
        silent = replies.silent
        self.missing.update(silent)
        # If reply delays vary on this line, an empty reply does not show which servo is silent.
        fallen = ids[0] if reply.empty and steady else reply.broke_off_at
        return replies, [id for id in silent if id != fallen]

    def _request(self, address: int, length: int, ids: tuple[int, ...], *, fast: bool) -> bytes:
        """The packet of a sync read, cached: every tick sends the same ones."""
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
        """Passes received bytes on until the reply is complete or the time is over.

        Args:
            take: gets the bytes; returns whether the reply is complete.
            asking: size of the request [bytes].
            reply: size of the reply [bytes].
            deadline: latest time to stop waiting [s].
        """
        presses, strays = self.patience <= TICK_PATIENCE, self.discarded
        now = sent = self.last_sent
        last = sent + 10 * (asking + reply) / self.baud + self.patience
        if deadline is not None:
            last = min(last, deadline)
        begins, begun = min(last, sent + 10 * asking / self.baud + self._timeout.patience()), False
        end, delay = begins if presses else last, 0.0
        while True:
            data = self._line.receive(end)
            now = self.clock.now()
            if data and not begun:
                begun, delay = True, now - self._asked
                self._timeout.note(now - sent)
            if take(data):
                self.delays.note(delay, alone=begun and self.discarded == strays)
                return
            if now >= end:
                if not begun and end < last:
                    self._timeout.note_none()
                self.delays.unsure = True
                return
            if data and presses:
                end = min(last, now + END_OF_REPLY + 10 * GATHERED / self.baud)

    def _send(self, packet: bytes) -> None:
        # Bytes still in the buffer belong to an older request.
        self._noise += self._line.purge()
        self._asked = self.clock.now()
        self._line.send(packet)
        self.last_sent = self.clock.now()
        self._parser.clear()

    def _refuse_if_readonly(self) -> None:
        if self._readonly:
            raise BusError(f"serial port {self.port} was opened read-only; nothing was written")
