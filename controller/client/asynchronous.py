"""The client for programs that use asyncio; `inhand.controller.client.sync` has it, too."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import msgspec
import zmq
import zmq.asyncio

from inhand.controller.client.arrival import Arrival, Positions, numbers, rows
from inhand.controller.client.connection import Message, Route, accepted, encode_request
from inhand.controller.errors import ClientError


@dataclass(frozen=True)
class _Connection:
    """The addresses of a daemon, the sockets, and the task that reads replies."""

    route: Route
    context: zmq.asyncio.Context
    commands: zmq.asyncio.Socket
    reading: asyncio.Task[None]


class AsyncClient:
    """Talks to one daemon from one event loop; any number of calls may be under way at once.

    It connects at the beginning of an `async with` block, by `connect`, or at its first request.
    The arguments are those of `inhand.controller.client.sync.Client`.
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
        self._waiting: dict[int, asyncio.Future[Message]] = {}
        self._connection: _Connection | None = None
        self._states: zmq.asyncio.Socket | None = None

    async def __aenter__(self) -> Self:
        return await self.connect()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def connect(self) -> Self:
        """Connects to the daemon; does nothing if it is connected.

        Raises:
            ClientError: there is no daemon.
            ConfigError: the key cannot be read.
        """
        self._connected()
        return self

    async def close(self) -> None:
        """Closes the sockets; calls that are under way are cancelled."""
        connection, self._connection = self._connection, None
        self._states = None
        if connection is None:
            return
        connection.reading.cancel()
        with suppress(asyncio.CancelledError):
            await connection.reading
        for waiting in self._waiting.values():
            waiting.cancel()
        connection.context.destroy(linger=0)

    async def call(self, type: str, **members: object) -> Message:
        """Sends a request and waits for its reply.

        Args:
            type: of the request.
            members: of the request; None values are left out.

        Raises:
            RefusedError: the daemon refused, with the protocol's error code.
            ClientError: no reply came in time.
        """
        connection = self._connected()
        number = next(self._numbers)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            await connection.commands.send(encode_request(number, type, members))
            return accepted(await asyncio.wait_for(self._waiting[number], self._timeout))
        except TimeoutError:
            raise connection.route.silence(type, self._timeout) from None
        finally:
            del self._waiting[number]

    async def status(self) -> Message:
        """The daemon's status."""
        return await self.call("status")

    async def joints(
        self, positions: Positions, speed: float | None = None, *, wait: bool = True
    ) -> Message:
        """Moves joints straight to targets; see `Client.joints`."""
        if wait:
            await self.call("manual")
        reply = await self.call("joints", positions=numbers(positions), speed=speed)
        return await self._arrive(reply) if wait else reply

    async def follow(
        self,
        times: Sequence[float],
        positions: Sequence[Sequence[float]],
        joints: Sequence[str] = (),
    ) -> Message:
        """Moves joints along targets with times; see `Client.follow`."""
        await self.call("manual")
        members = {"times": [float(t) for t in times], "positions": rows(positions)}
        return await self._arrive(await self.call("trajectory", **members, joints=list(joints)))

    async def _arrive(self, reply: Message) -> Message:
        """Sends heartbeats until the targets are where they were sent; the last reply."""
        arrival = Arrival()
        while not arrival.over(reply, time.monotonic()):
            await asyncio.sleep(arrival.PERIOD)
            reply = await self.call("joints")
        return reply

    def subscribe(self) -> None:
        """Subscribes to state and events; `messages` does this too."""
        if self._states is None:
            connection = self._connected()
            self._states = connection.context.socket(zmq.SUB)
            connection.route.connect(self._states, connection.route.state)
            for topic in ("state", "event"):
                self._states.set(zmq.SUBSCRIBE, topic.encode())

    async def messages(self, timeout: float) -> AsyncIterator[tuple[str, Message]]:
        """What the daemon publishes, as (topic, message), until the time is over [s]."""
        self.subscribe()
        assert self._states is not None
        deadline = asyncio.get_running_loop().time() + timeout
        while (left := deadline - asyncio.get_running_loop().time()) > 0:
            # Polled first: a message that is cancelled while it is received would be lost.
            if await self._states.poll(int(left * 1000) + 1):
                topic, message = await self._states.recv_multipart()
                yield topic.decode(), msgspec.json.decode(message)

    async def events(self, timeout: float) -> AsyncIterator[Message]:
        """The events that are published from now on, until the time is over [s]."""
        async for topic, message in self.messages(timeout):
            if topic == "event":
                yield message

    def _connected(self) -> _Connection:
        """The connection, which is made if there is none."""
        if self._connection is None:
            route = Route(self._directory, self._key)
            context = zmq.asyncio.Context()
            commands = context.socket(zmq.DEALER)
            try:
                route.connect(commands, route.command)
            except ClientError:
                context.destroy(linger=0)
                raise
            reading = asyncio.get_running_loop().create_task(self._read(commands))
            self._connection = _Connection(route, context, commands, reading)
        return self._connection

    async def _read(self, commands: zmq.asyncio.Socket) -> None:
        """Delivers replies to the calls that wait; replies that come too late are dropped."""
        while True:
            reply: Message = msgspec.json.decode(await commands.recv())
            if reply.get("id") is None:
                for waiting in self._waiting.values():
                    if not waiting.done():
                        waiting.set_exception(ClientError(f"{reply['error']['message']}"))
                continue
            found = self._waiting.get(reply["id"])
            if found is not None and not found.done():
                found.set_result(reply)
