"""A socket in the file system with many clients: bounded connections, input and unread output."""

import errno
import select
import socket
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from inhand.controller.errors import StartError
from inhand.controller.ipc.connection import LONG, Connection, dispensable
from inhand.controller.ipc.zmtp import GREETING, Session, ZmtpError, encode, ready

CONNECTIONS = 256
"""Most connections to one socket. Beyond them, the process with the most loses its oldest."""

HANDSHAKE_TIME = 10.0
"""A connection without a complete handshake is closed after this time [s]."""

MOST_UNREAD = 512 * 1024
"""A client with more bytes of unread messages than this gets no more until it has read [bytes]."""

MOST_HELD = 32 << 20
"""Largest total of incomplete and of unread messages of all clients of a socket [bytes]."""

_READ = 64 * 1024
_ACCEPTED = 8
_SWEEP = 0.5
_FLUSH_TIME = 0.2
_PAUSE = 0.5
_SHORT = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class Listener:
    """All clients of one socket; used by one thread.

    A client is named by a number that is never used again. Clients that ask for too much are set
    apart: what they send is received separately, so that it delays nobody else.

    Args:
        path: of the socket.
        kind: socket type of ZeroMQ, such as `ROUTER`.
        partners: socket types that clients may have.
        most: largest size of a client's message [bytes].
        connections: most clients at a time.
        now: returns the time [s].

    Attributes:
        connections: the clients.
    """

    def __init__(
        self,
        path: Path,
        *,
        kind: bytes,
        partners: Collection[bytes],
        most: int,
        connections: int = CONNECTIONS,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.connections: dict[int, Connection] = {}
        self._path, self._kind, self._partners, self._most = path, kind, partners, most
        self._limit, self._now = connections, now
        self._numbers: dict[int, int] = {}
        self._waiting: dict[int, None] = {}
        self._apart: dict[int, float] = {}
        self._held: set[int] = set()
        self._last, self._swept, self._deaf_until = 0, 0.0, 0.0
        self._socket: socket.socket | None = None

    def open(self) -> Self:
        """Makes the socket.

        Raises:
            StartError: it cannot be made there.
        """
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            with suppress(FileNotFoundError):
                self._path.unlink()
            made.bind(str(self._path))
            made.listen(128)
        except OSError as error:
            made.close()
            raise StartError(
                f"socket {self._path}: {error.strerror or error}; give a directory that can be "
                "written to, with a short path"
            ) from error
        self._socket = made
        self._poll, self._poll_apart = select.epoll(), select.epoll()
        self._poll.register(made.fileno(), select.EPOLLIN)
        return self

    def fileno(self) -> int:
        """Descriptor that is readable when `receive` has something to do."""
        return self._poll.fileno()

    @property
    def waiting(self) -> bool:
        """Whether more messages have been received than the last `receive` returned."""
        return bool(self._ready(apart=False))

    @property
    def some_apart(self) -> bool:
        """Whether a client is set apart."""
        return bool(self._apart)

    def receive(self, most: int) -> list[tuple[int, list[bytes]]]:
        """Accepts clients, sends what they have room for, and receives about `most` messages.

        All clients with waiting messages get the same share, at least one message each. After a
        long message, a client has to be released.
        """
        self._look(self._poll, -1)
        self._sweep()
        self._bound_memory()
        waiting = self._ready(apart=False)
        share = max(1, most // max(1, len(waiting)))
        return [(number, frames) for number in waiting for frames in self._messages(number, share)]

    def receive_apart(self, most: int) -> list[tuple[int, list[bytes]]]:
        """Receives one message each of up to `most` clients that are set apart, in turn."""
        self._look(self._poll_apart, most)
        waiting = self._ready(apart=True)[:most]
        for number in waiting:
            # To the end: the others come first the next time.
            self._waiting[number] = self._waiting.pop(number)
        return [(number, frames) for number in waiting for frames in self._messages(number, 1)]

    def set_apart(self, number: int, seconds: float) -> None:
        """Has what a client sends received by `receive_apart`, for this time at least [s]."""
        connection = self.connections.get(number)
        if connection is None:
            return
        if number not in self._apart:
            self._poll.unregister(connection.socket.fileno())
            self._poll_apart.register(connection.socket.fileno(), connection.wanted)
        self._apart[number] = self._now() + seconds

    def release(self, number: int) -> None:
        """Has more messages received of a client, whose long message has been dealt with."""
        self._held.discard(number)

    def send(self, number: int, frames: Sequence[bytes]) -> bool:
        """Sends a message; False if the client is gone, or has not read what it got before."""
        connection = self.connections.get(number)
        if connection is None:
            return False
        if len(connection.unread) > MOST_UNREAD:
            connection.lost += 1
            return False
        connection.unread += encode(frames)
        return self._flush(number)

    def close(self) -> None:
        """Sends what clients still read within a short time, and closes all connections."""
        deadline = time.monotonic() + _FLUSH_TIME
        while any(self._flush(n) and c.unread for n, c in tuple(self.connections.items())):
            if time.monotonic() > deadline:
                break
            time.sleep(0.005)
        for number in tuple(self.connections):
            self._drop(number)
        if self._socket is not None:
            self._socket.close()
            self._socket = None
            self._poll.close()
            self._poll_apart.close()
            with suppress(OSError):
                self._path.unlink()

    def _look(self, poll: select.epoll, most: int) -> None:
        """Does what the clients of a poll are ready for."""
        listening = -1 if self._socket is None else self._socket.fileno()
        for descriptor, events in poll.poll(0, most):
            if descriptor == listening:
                self._accept()
                continue
            number = self._numbers.get(descriptor)
            if number is None:
                continue
            if events & select.EPOLLOUT:
                self._flush(number)
            readable = events & ~select.EPOLLOUT and number not in self._waiting
            if readable and number in self.connections:
                self._read(number)

    def _accept(self) -> None:
        assert self._socket is not None
        # Bounded, since a program may connect faster than its connections are accepted. If there
        # are many, each takes the place of another, and those who send wait meanwhile.
        for _ in range(_ACCEPTED if 2 * len(self.connections) < self._limit else 1):
            if self._now() < self._deaf_until:
                return
            try:
                line, _ = self._socket.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno not in _SHORT:
                    return
                # Without descriptors, clients wait until some are free.
                self._deaf_until = self._now() + _PAUSE
                self._poll.modify(self._socket.fileno(), 0)
                return
            line.setblocking(False)
            self._add(line)

    def _add(self, line: socket.socket) -> None:
        self._last += 1
        session = Session(self._partners, self._most)
        connection = self.connections[self._last] = Connection(line, session, self._now())
        self._numbers[line.fileno()] = self._last
        self._poll.register(line.fileno(), select.EPOLLIN)
        connection.unread += GREETING + ready(self._kind)
        self._flush(self._last)
        if len(self.connections) > self._limit:
            self._drop(dispensable(self.connections))

    def _read(self, number: int) -> None:
        connection = self.connections[number]
        try:
            data = connection.socket.recv(_READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(number)
            return
        connection.session.feed(data)
        self._waiting[number] = None

    def _messages(self, number: int, most: int) -> Iterator[list[bytes]]:
        """Up to `most` messages of a client."""
        connection = self.connections[number]
        session = connection.session
        try:
            for _ in range(most):
                frames = session.message()
                if frames is None:
                    del self._waiting[number]
                    break
                long = sum(map(len, frames)) > LONG
                if long:
                    self._held.add(number)
                yield frames
                if long:
                    break
        except ZmtpError:
            self._drop(number)
            return
        if session.output and len(connection.unread) <= MOST_UNREAD:
            connection.unread += session.output
            self._flush(number)
        session.output.clear()

    def _flush(self, number: int) -> bool:
        """Sends a client's messages as far as they fit; False if it is gone."""
        connection = self.connections[number]
        try:
            with suppress(BlockingIOError):
                while connection.unread:
                    del connection.unread[: connection.socket.send(connection.unread)]
        except OSError:
            self._drop(number)
            return False
        if connection.blocked is not bool(connection.unread):
            connection.blocked = bool(connection.unread)
            self._poll_of(number).modify(connection.socket.fileno(), connection.wanted)
        return True

    def _sweep(self) -> None:
        """Closes connections without a handshake, and accepts clients again after a shortage."""
        now = self._now()
        if now < self._swept + _SWEEP:
            return
        self._swept = now
        if self._deaf_until and now >= self._deaf_until and self._socket is not None:
            self._deaf_until = 0.0
            self._poll.modify(self._socket.fileno(), select.EPOLLIN)
        for number, one in tuple(self.connections.items()):
            # What it has sent is looked at first: on a busy machine it may have waited for long.
            allowed = HANDSHAKE_TIME * (2 if number in self._waiting else 1)
            if not one.session.handshaken and now > one.begun + allowed:
                self._drop(number)

        for number in [n for n, end in self._apart.items() if now > end and n not in self._held]:
            descriptor = self.connections[number].socket.fileno()
            self._poll_apart.unregister(descriptor)
            self._poll.register(descriptor, self.connections[number].wanted)
            del self._apart[number]

    def _ready(self, *, apart: bool) -> list[int]:
        return [n for n in self._waiting if (n in self._apart) is apart and n not in self._held]

    def _poll_of(self, number: int) -> select.epoll:
        return self._poll_apart if number in self._apart else self._poll

    def _bound_memory(self) -> None:
        """Disconnects the client that holds the most bytes while all of them hold too many."""
        while sum(one.held for one in self.connections.values()) > MOST_HELD:
            self._drop(max(self.connections, key=lambda n: self.connections[n].held))

    def _drop(self, number: int) -> None:
        connection = self.connections.pop(number)
        self._waiting.pop(number, None)
        del self._numbers[connection.socket.fileno()]
        self._poll_of(number).unregister(connection.socket.fileno())
        self._apart.pop(number, None)
        self._held.discard(number)
        connection.socket.close()
