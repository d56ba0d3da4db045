"""A typed client of the daemon, for scripts and for the command line.

Ten lines to a first goal::

    from inhand.controller.client.sync import Client

    with Client() as hand:
        hand.subscribe()
        hand.call("enable")
        hand.call("home")
        hand.call("arm")
        hand.call("goal", face="+x")
        for event in hand.events(timeout=30):
            if event["kind"] == "goal_reached":
                break
"""

import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import msgspec
import zmq

from inhand.controller.client.connection import Message, Route, accepted, encode_request
from inhand.controller.errors import ClientError


class Client:
    """Talks to one daemon. Not for use by several threads at once."""

    def __init__(
        self,
        directory: str | Path | None = None,
        *,
        key: str | Path | None = None,
        timeout: float = 5.0,
    ) -> None:
        """Connects to the daemon.

        Args:
            directory: where its sockets are; None looks in the usual places.
            key: file from `inhand keys generate`, for a daemon on another machine; None takes
                `$INHAND_KEY`, and without it a daemon on this one.
            timeout: how long to wait for a reply [s].

        Raises:
            ClientError: there is no daemon.
            ConfigError: the key cannot be read.
        """
        self._route = Route(directory, key)
        self._timeout = timeout
        self._numbers = itertools.count(1)
        self._open: set[int] = set()
        self._early: dict[int, Message] = {}
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._commands = self._connect(zmq.DEALER, self._route.command)
        self._states: zmq.Socket[bytes] | None = None

    @property
    def remote(self) -> bool:
        """Whether the daemon is reached over the network."""
        return self._route.remote

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the sockets."""
        self._context.destroy(linger=0)

    def call(self, type: str, **members: object) -> Message:
        """Sends a request and waits for its reply.

        Args:
            type: of the request.
            members: of the request; None values are left out.

        Raises:
            RefusedError: the daemon refused, with the protocol's error code.
            ClientError: no reply came in time.
        """
        return self.receive(type, self.send(type, **members))

    def send(self, type: str, **members: object) -> int:
        """Sends a request without waiting for its reply; see `call`.

        Returns:
            The request's number, for `receive`.
        """
        number = next(self._numbers)
        self._commands.send(encode_request(number, type, members))
        self._open.add(number)
        return number

    def receive(self, type: str, number: int) -> Message:
        """Waits for the reply to a request that was sent; see `call`.

        Args:
            type: of the request.
            number: the request's.

        Raises:
            RefusedError: the daemon refused, with the protocol's error code.
            ClientError: no reply came in time.
        """
        self._open.discard(number)
        if number in self._early:
            return accepted(self._early.pop(number))
        deadline = time.monotonic() + self._timeout
        while True:
            left = deadline - time.monotonic()
            if left <= 0 or not self._commands.poll(int(left * 1000) + 1):
                raise self._route.silence(type, self._timeout)
            reply: Message = msgspec.json.decode(self._commands.recv())
            if reply.get("id") in (number, None):
                return accepted(reply)
            # The late reply to an earlier request that timed out is skipped.
            if reply["id"] in self._open:
                self._early[reply["id"]] = reply

    def status(self) -> Message:
        """The daemon's status."""
        return self.call("status")

    def subscribe(self) -> None:
        """Subscribes to state and events; `messages` does this too."""
        if self._states is None:
            self._states = self.watch("state", "event")

    def watch(self, *topics: str, address: str = "") -> "zmq.Socket[bytes]":
        """A socket of its own for these topics, at the daemon's state socket or another address.

        Closed with the client.
        """
        socket = self._connect(zmq.SUB, address or self._route.state)
        for topic in topics:
            socket.set(zmq.SUBSCRIBE, topic.encode())
        return socket

    def messages(self, timeout: float) -> Iterator[tuple[str, Message]]:
        """What the daemon publishes, as (topic, message), until the time is over [s]."""
        self.subscribe()
        assert self._states is not None
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            if self._states.poll(int(left * 1000) + 1):
                topic, message = self._states.recv_multipart()
                yield topic.decode(), msgspec.json.decode(message)

    def events(self, timeout: float) -> Iterator[Message]:
        """The events that are published from now on, until the time is over [s]."""
        return (message for topic, message in self.messages(timeout) if topic == "event")

    def _connect(self, kind: int, address: str) -> "zmq.Socket[bytes]":
        socket = self._context.socket(kind)
        try:
            self._route.connect(socket, address)
        except ClientError:
            self.close()
            raise
        return socket
