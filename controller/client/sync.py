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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import msgspec
import zmq

from inhand.controller.client.arrival import Arrival, Positions, numbers, rows
from inhand.controller.client.connection import Message, Route, accepted, encode_request
from inhand.controller.client.world import WorldClient
from inhand.controller.errors import ClientError

_POLL = 0.05
"""Time between two looks at the status while waiting [s]."""


@dataclass(frozen=True)
class _Connection:
    """The addresses of a daemon, and the sockets that are connected to it."""

    route: Route
    context: "zmq.Context[zmq.Socket[bytes]]"
    commands: "zmq.Socket[bytes]"


class Client:
    """Talks to one daemon. Not for use by several threads at once.

    It connects at the beginning of a `with` block, by `connect`, or at its first request.

    Args:
        directory: where the daemon's sockets are; None looks in the usual places.
        key: file from `inhand keys generate`, for a daemon on another machine; None takes
            `$INHAND_KEY`, and without it a daemon on this one.
        timeout: how long to wait for a reply [s].
    """

    def __init__(
        self,
        directory: str | Path | None = None,
        *,
        key: str | Path | None = None,
        timeout: float = 5.0,
    ) -> None:
        self._directory, self._key = directory, key
        self._timeout = timeout
        self._numbers = itertools.count(1)
        self._open: set[int] = set()
        self._early: dict[int, Message] = {}
        self._connection: _Connection | None = None
        self._states: zmq.Socket[bytes] | None = None

    def __enter__(self) -> Self:
        return self.connect()

    def __exit__(self, *_: object) -> None:
        self.close()

    def connect(self) -> Self:
        """Connects to the daemon; does nothing if it is connected.

        Raises:
            ClientError: there is no daemon.
            ConfigError: the key cannot be read.
        """
        self._connected()
        return self

    def close(self) -> None:
        """Closes the sockets. A later request connects again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.context.destroy(linger=0)
        self._states = None
        self._open.clear()
        self._early.clear()

    @property
    def remote(self) -> bool:
        """Whether the daemon is reached over the network."""
        return self._connected().route.remote

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
                raise self._connected().route.silence(type, self._timeout)
            reply: Message = msgspec.json.decode(self._commands.recv())
            if reply.get("id") in (number, None):
                return accepted(reply)
            # The late reply to an earlier request that timed out is skipped.
            if reply["id"] in self._open:
                self._early[reply["id"]] = reply

    def status(self) -> Message:
        """The daemon's status."""
        return self.call("status")

    def place(self, timeout: float = 10.0) -> None:
        """Puts the object back into a simulated hand, and waits until it is seen there.

        Args:
            timeout: how long that may take [s].

        Raises:
            ClientError: the hand is not simulated on this machine, or the object fell out again.
        """
        address = None if self.remote else self.status().get("world")
        if address is None:
            raise ClientError(
                "place: this hand is not simulated on this machine; put it in by hand"
            )
        with WorldClient(address) as world:
            world.ask("place")
        deadline = time.monotonic() + timeout
        while not self.status()["object"]["in_hand"]:
            if time.monotonic() > deadline:
                raise ClientError("place: the object was put back, but is not in the hand")
            time.sleep(_POLL)

    def joints(
        self, positions: Positions, speed: float | None = None, *, wait: bool = True
    ) -> Message:
        """Moves joints straight to targets, by mode `manual`.

        Args:
            positions: by actuator's name, or all in actuator order [rad].
            speed: of the joint with the longest way [rad/s]; None takes the daemon's setting.
            wait: whether to begin mode `manual`, and to wait until the targets are there or come
                no nearer. Without it, the request is sent once, for streams of targets; the hand
                must be in mode `manual` then.

        Returns:
            The last reply; `left` is how far the targets have to go [rad].

        Raises:
            RefusedError: the daemon refused, or somebody else has ended mode `manual`.
            ClientError: no reply came in time.
        """
        if wait:
            self.call("manual")
        reply = self.call("joints", positions=numbers(positions), speed=speed)
        return self._arrive(reply) if wait else reply

    def follow(
        self,
        times: Sequence[float],
        positions: Sequence[Sequence[float]],
        joints: Sequence[str] = (),
    ) -> Message:
        """Moves joints along targets with times, by mode `manual`, and waits until they are there.

        Args:
            times: from now on [s], above 0 and increasing, (n,).
            positions: targets at these times [rad], n rows.
            joints: names of the actuators of a row's elements; all in actuator order if empty.

        Returns:
            The last reply, as of `joints`.

        Raises:
            RefusedError: the daemon refused, or somebody else has ended mode `manual`.
            ClientError: no reply came in time.
        """
        self.call("manual")
        members = {"times": [float(t) for t in times], "positions": rows(positions)}
        return self._arrive(self.call("trajectory", **members, joints=list(joints)))

    def _arrive(self, reply: Message) -> Message:
        """Sends heartbeats until the targets are where they were sent; the last reply."""
        arrival = Arrival()
        while not arrival.over(reply, time.monotonic()):
            time.sleep(arrival.PERIOD)
            reply = self.call("joints")
        return reply

    def subscribe(self) -> None:
        """Subscribes to state and events; `messages` does this too."""
        if self._states is None:
            self._states = self.watch("state", "event")

    def watch(self, *topics: str, address: str = "") -> "zmq.Socket[bytes]":
        """A socket of its own for these topics, at the daemon's state socket or another address.

        Closed with the client.
        """
        connection = self._connected()
        socket = connection.context.socket(zmq.SUB)
        connection.route.connect(socket, address or connection.route.state)
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

    @property
    def _commands(self) -> "zmq.Socket[bytes]":
        return self._connected().commands

    def _connected(self) -> _Connection:
        """The connection, which is made if there is none."""
        if self._connection is None:
            route = Route(self._directory, self._key)
            context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
            commands = context.socket(zmq.DEALER)
            try:
                route.connect(commands, route.command)
            except ClientError:
                context.destroy(linger=0)
                raise
            self._connection = _Connection(route, context, commands)
        return self._connection
