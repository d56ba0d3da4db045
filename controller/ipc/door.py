"""Bounded TCP connections before the gateway's ZeroMQ sockets.

libzmq accepts connections until the process has no descriptor left, and then lets nobody in. Here,
a connection is passed on when it says something, and stays only if the gateway accepts its key.
Those that are silent or have shown no key yet are few, and take no places of clients. A client
that sends without getting answers is cut off.
"""

import asyncio
import enum
import socket
import threading
from collections import Counter
from collections.abc import Collection, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

from inhand.controller.errors import StartError
from inhand.controller.ipc.rate_limit import RateLimit
from inhand.controller.ipc.unanswered import Unanswered

PATIENCE = 3.0
"""Time in which a connection must have shown a listed key [s]."""

RATE = 20.0
"""Connections of one address that are passed on each second; others are closed."""

BURST = 100.0
"""Connections of one address that are passed on at once."""

_REFUSED = 270
"""A server of CURVE sends a greeting (64 bytes) and WELCOME (170). To a key that is not on the
list, it then sends ERROR (12 bytes), to others READY (67 or more)."""

_PIECE = 65_536
_BACKLOG = 1024
_AT_ONCE = 32
_PAUSE = 0.2
_END = 5.0


class State(enum.Enum):
    """How far a connection has come; the value is the largest number of such connections."""

    SILENT = 128
    STRANGER = 64
    CLIENT = 80


class _Caller:
    """One connection.

    Attributes:
        line: its socket.
        address: of the other side.
        number: grows with each connection.
        told: bytes that the gateway sent to it.
        task: that carries its bytes; None while it is silent.
    """

    def __init__(self, line: socket.socket, address: str, number: int) -> None:
        self.line, self.address, self.number = line, address, number
        self.told = 0
        self.task: asyncio.Task[None] | None = None

    @property
    def state(self) -> State:
        if self.task is None:
            return State.SILENT
        return State.CLIENT if self.told > _REFUSED else State.STRANGER


class Door:
    """Accepts connections over TCP, and carries their bytes to sockets in the file system.

    Args:
        addresses: for each TCP address, such as `tcp://*:7411`, the socket behind it.
        answering: the addresses whose clients get an answer to each message.
    """

    def __init__(self, addresses: Mapping[str, Path], answering: Collection[str] = ()) -> None:
        self._addresses, self._answering = addresses, answering
        self._ports: dict[str, _Port] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="door", daemon=True)

    def open(self) -> Self:
        """Listens.

        Raises:
            StartError: an address cannot be used.
        """
        for address, path in self._addresses.items():
            answers = address in self._answering
            self._ports[address] = port = _Port(self._loop, _listen(address), path, answers)
            self._loop.call_soon(port.listen)
        self._thread.start()
        return self

    def send_away(self, address: str) -> None:
        """Ends all connections to one address; clients connect again and show their keys again."""
        self._loop.call_soon_threadsafe(self._ports[address].end_all)

    def close(self) -> None:
        """Closes all connections."""
        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(_END)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_END)
        self._loop.close()

    async def _end(self) -> None:
        for port in self._ports.values():
            port.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)


class _Port:
    """All connections to one address."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, listener: socket.socket, path: Path, answers: bool
    ) -> None:
        self._loop, self._listener, self._path = loop, listener, path
        self._answers = answers
        self._silent: dict[_Caller, None] = {}
        self._callers: set[_Caller] = set()
        self._rate = RateLimit(RATE, BURST)
        self._last = 0

    def listen(self) -> None:
        """Accepts connections from now on."""
        if self._listener.fileno() >= 0:
            self._loop.add_reader(self._listener, self._accept)

    def close(self) -> None:
        """Ends all connections, and accepts no more."""
        self._loop.remove_reader(self._listener)
        self._listener.close()
        self.end_all()

    def end_all(self) -> None:
        """Ends all connections."""
        for caller in (*self._silent, *self._callers):
            self._drop(caller)

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                line, place = self._listener.accept()
            except BlockingIOError:
                return
            except OSError:
                # No descriptor is free: later again.
                self._loop.remove_reader(self._listener)
                self._loop.call_later(_PAUSE, self.listen)
                return
            line.setblocking(False)
            self._last += 1
            caller = _Caller(line, str(place[0]), self._last)
            self._loop.call_later(PATIENCE, self._doubt, caller)
            try:
                said = line.recv(1, socket.MSG_PEEK)
            except BlockingIOError:
                self._silent[caller] = None
                self._loop.add_reader(line, self._speaks, caller)
                self._make_room(State.SILENT)
            except OSError:
                line.close()
            else:
                # It has waited to be accepted, and must not wait behind those that are silent.
                self._pass_on(caller) if said else line.close()

    def _speaks(self, caller: _Caller) -> None:
        self._loop.remove_reader(caller.line)
        del self._silent[caller]
        self._pass_on(caller)

    def _pass_on(self, caller: _Caller) -> None:
        # A handshake takes a millisecond of processor time.
        if not self._rate.allows(caller.address, self._loop.time()):
            caller.line.close()
            return
        self._callers.add(caller)
        caller.task = self._loop.create_task(_carry_both_ways(caller, self._path, self._answers))
        caller.task.add_done_callback(lambda _: self._gone(caller))
        self._make_room(State.STRANGER)
        # Those that have become clients since the last one.
        self._make_room(State.CLIENT)

    def _doubt(self, caller: _Caller) -> None:
        if caller.state is not State.CLIENT:
            self._drop(caller)

    def _make_room(self, state: State) -> None:
        """Ends one connection in this state if there are too many."""
        group = (
            list(self._silent)
            if state is State.SILENT
            else [one for one in self._callers if one.state is state]
        )
        if len(group) > state.value:
            counts = Counter(one.address for one in group)
            # Of the address with the most connections, the oldest.
            self._drop(min(group, key=lambda one: (-counts[one.address], one.number)))

    def _drop(self, caller: _Caller) -> None:
        if caller.task is not None:
            caller.task.cancel()
        elif caller in self._silent:
            del self._silent[caller]
            self._loop.remove_reader(caller.line)
            caller.line.close()

    def _gone(self, caller: _Caller) -> None:
        self._callers.discard(caller)
        # A task that was cancelled before it began has left it open.
        caller.line.close()


async def _carry_both_ways(caller: _Caller, path: Path, answers: bool) -> None:
    """Carries the bytes of one connection until one side ends it, then closes both."""
    unanswered = Unanswered(answers=answers)
    with suppress(OSError), ExitStack() as exits:
        caller.line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reader, writer = await asyncio.open_connection(sock=caller.line)
        exits.callback(writer.transport.abort)
        inner_reader, inner_writer = await asyncio.open_unix_connection(path)
        exits.callback(inner_writer.transport.abort)
        ways = (
            asyncio.ensure_future(_carry_in(reader, inner_writer, unanswered)),
            asyncio.ensure_future(_carry_out(inner_reader, writer, unanswered, caller)),
        )
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)


async def _carry_in(
    source: asyncio.StreamReader, sink: asyncio.StreamWriter, unanswered: Unanswered
) -> None:
    while await unanswered.room() and (data := await source.read(_PIECE)):
        unanswered.sent(data)
        sink.write(data)
        await sink.drain()


async def _carry_out(
    source: asyncio.StreamReader,
    sink: asyncio.StreamWriter,
    unanswered: Unanswered,
    caller: _Caller,
) -> None:
    while data := await source.read(_PIECE):
        caller.told += len(data)
        unanswered.told(data)
        sink.write(data)
        await sink.drain()


def _listen(address: str) -> socket.socket:
    """A listening socket for an address of ZeroMQ.

    Raises:
        StartError: it cannot be bound.
    """
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    host = "" if host == "*" else host.strip("[]")
    both = not host and socket.has_dualstack_ipv6()
    try:
        found = socket.getaddrinfo(host or "0.0.0.0", int(port), type=socket.SOCK_STREAM)
        family, place = found[0][0], found[0][4]
        if both:
            family, place = socket.AF_INET6, ("::", int(port))
        listener = socket.create_server(place, family=family, backlog=_BACKLOG, dualstack_ipv6=both)
    except (OSError, ValueError, OverflowError) as error:
        raise StartError(f"[network] {address}: {error}; is the address free?") from error
    listener.setblocking(False)
    return listener
