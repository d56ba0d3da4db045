"""The client for programs that use asyncio; `inhand.controller.client.sync` has it, too."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Self

import msgspec
import zmq
import zmq.asyncio

from inhand.controller.client.connection import Message, Route, accepted, encode_request
from inhand.controller.errors import ClientError


class AsyncClient:
    """Talks to one daemon from one event loop; any number of calls may be under way at once."""

    def __init__(
        self,
        directory: str | Path | None = None,
        *,
        key: str | Path | None = None,
        timeout: float = 5.0,
    ) -> None:
        """See `inhand.controller.client.sync.Client`; construct it while the event loop runs."""
        self._route = Route(directory, key)
        self._timeout = timeout
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Message]] = {}
        self._context = zmq.asyncio.Context()
        self._commands = self._context.socket(zmq.DEALER)
        self._route.connect(self._commands, self._route.command)
        self._states: zmq.asyncio.Socket | None = None
        self._reading = asyncio.get_running_loop().create_task(self._read())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the sockets; calls that are under way are cancelled."""
        self._reading.cancel()
        with suppress(asyncio.CancelledError):
            await self._reading
        for waiting in self._waiting.values():
            waiting.cancel()
        self._context.destroy(linger=0)

    async def call(self, type: str, **members: object) -> Message:
        """Sends a request and waits for its reply.

        Args:
            type: of the request.
            members: of the request; None values are left out.

        Raises:
            RefusedError: the daemon refused, with the protocol's error code.
            ClientError: no reply came in time.
        """
        number = next(self._numbers)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            await self._commands.send(encode_request(number, type, members))
            return accepted(await asyncio.wait_for(self._waiting[number], self._timeout))
        except TimeoutError:
            raise self._route.silence(type, self._timeout) from None
        finally:
            del self._waiting[number]

    async def status(self) -> Message:
        """The daemon's status."""
        return await self.call("status")

    def subscribe(self) -> None:
        """Subscribes to state and events; `messages` does this too."""
        if self._states is None:
            self._states = self._context.socket(zmq.SUB)
            self._route.connect(self._states, self._route.state)
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

    async def _read(self) -> None:
        """Delivers replies to the calls that wait; replies that come too late are dropped."""
        while True:
            reply: Message = msgspec.json.decode(await self._commands.recv())
            if reply.get("id") is None:
                for waiting in self._waiting.values():
                    if not waiting.done():
                        waiting.set_exception(ClientError(f"{reply['error']['message']}"))
                continue
            found = self._waiting.get(reply["id"])
            if found is not None and not found.done():
                found.set_result(reply)
