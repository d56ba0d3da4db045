"""`inhand rest`: the daemon's requests over HTTP, and its states over a WebSocket.

It is a client of the daemon like any other, so modes, roles and limits are the daemon's. Who has
the token may do what this client may do.
"""

import hmac
import os
import secrets
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import msgspec
import tyro
import uvicorn
from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from inhand.controller.client.asynchronous import AsyncClient
from inhand.controller.core.requests import TYPES
from inhand.controller.errors import ClientError, ConfigError, RefusedError
from inhand.controller.ipc.protocol import MAX_SIZE
from inhand.controller.system.realtime import lower_priority
from inhand.controller.view.openapi import STATUS_OF, openapi
from inhand.errors import InhandError

WATCHING = ("status", "events", "estop")
"""Requests without `--command`: as on the page, everybody who watches may stop the hand."""

WITHHELD = ("shutdown",)
"""Requests that only local clients may send."""

TOKEN = "INHAND_REST_TOKEN"
"""Environment variable with the token; without it each start makes a new one."""

_RESERVED = {"v", "id", "type"}
_SHORTEST_TOKEN = 16
_WAIT = 0.5


@dataclass(frozen=True)
class Options:
    """Serve requests over HTTP and states over a WebSocket, for scripts and browsers.

    Example: inhand rest --command

    Attributes:
        command: Serve all requests; without it only status, events and emergency stop.
        directory: Where the daemon's sockets are, instead of the usual place.
        key: File from `inhand keys generate`, to reach a daemon on another machine.
        host: Address to serve on; the connection is not encrypted.
        port: Port to serve on; 0 for a free one.
    """

    command: bool = False
    directory: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    key: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    host: str = "127.0.0.1"
    port: int = 8090


def new_token() -> str:
    """The token of the environment, or a new one.

    Raises:
        ConfigError: the environment's is too short to be a secret.
    """
    token = os.environ.get(TOKEN) or secrets.token_urlsafe(24)
    if len(token) < _SHORTEST_TOKEN:
        raise ConfigError(f"${TOKEN} has {len(token)} characters; give it {_SHORTEST_TOKEN}")
    return token


@dataclass
class Rest:
    """The ASGI application.

    Attributes:
        options: what is served.
        token: what each request must bring.
    """

    options: Options
    token: str
    _client: AsyncClient = field(init=False)

    def application(self) -> Starlette:
        """The application for an ASGI server."""
        routes = [Route("/openapi.json", self._describe, methods=["GET"])]
        for name in self.requests():
            method = "GET" if name in ("status", "events") else "POST"
            routes.append(Route(f"/{name}", self._endpoint(name), methods=[method]))
        return Starlette(
            routes=[*routes, WebSocketRoute("/messages", self._stream)], lifespan=self._lifespan
        )

    def requests(self) -> tuple[str, ...]:
        """The requests that are served."""
        if not self.options.command:
            return WATCHING
        return tuple(name for name in TYPES if name not in WITHHELD)

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        self._client = AsyncClient(self.options.directory, key=self.options.key)
        yield
        await self._client.close()

    async def _describe(self, _: Request) -> Response:
        return _answer(openapi(self.requests()))

    def _endpoint(self, name: str) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            if not self._is_allowed(request):
                return _error("forbidden", "send the token as Authorization: Bearer TOKEN", 401)
            try:
                members = await _members(request)
                reply = await self._client.call(name, **members)
            except RefusedError as error:
                return _error(error.code, str(error), STATUS_OF.get(error.code, 400))
            except ClientError as error:
                return _error("unreachable", str(error), 503)
            reply.pop("id")
            return _answer(reply)

        return answer

    async def _stream(self, connection: WebSocket) -> None:
        """Sends what the daemon publishes: {"topic": "state" or "event", "message": ...}."""
        if not self._is_allowed(connection):
            await connection.close(4401, "the token is missing or wrong")
            return
        await connection.accept()
        try:
            async with AsyncClient(self.options.directory, key=self.options.key) as client:
                while True:
                    async for topic, message in client.messages(_WAIT):
                        text = msgspec.json.encode({"topic": topic, "message": message}).decode()
                        await connection.send_text(text)
        except ClientError as error:
            with suppress(RuntimeError, WebSocketDisconnect):
                await connection.close(1013, str(error)[:120])
        except (RuntimeError, WebSocketDisconnect):
            # The reader has gone.
            return

    def _is_allowed(self, connection: HTTPConnection) -> bool:
        """Whether a request has the token; browsers cannot give a WebSocket a header."""
        given = connection.headers.get("authorization", "").removeprefix("Bearer ")
        if isinstance(connection, WebSocket) and not given:
            given = connection.query_params.get("token", "")
        return hmac.compare_digest(given.encode(), self.token.encode())


async def _members(request: Request) -> dict[str, Any]:
    """The members of a request: of the body, or of the address of `events`.

    Raises:
        RefusedError: they are no JSON object, or too long.
    """
    if request.method == "GET":
        since = request.query_params.get("since", "0")
        if request.url.path != "/events":
            return {}
        if not since.isdecimal():
            raise RefusedError("invalid", "events: since must be a number")
        return {"since": int(since)}
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_SIZE:
            raise RefusedError("too_large", f"at most {MAX_SIZE} bytes are read")
    try:
        members: dict[str, Any] = msgspec.json.decode(body or b"{}", type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError) as error:
        raise RefusedError("malformed", f"the body must be a JSON object: {error}") from error
    if _RESERVED & set(members):
        raise RefusedError("invalid", "v, id and type are not given: the address names the request")
    return members


def _answer(content: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, media_type="application/json")


def _error(code: str, message: str, status: int) -> Response:
    return _answer({"ok": False, "error": {"code": code, "message": message}}, status)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        ConfigError: the port is taken, or the address is not this machine's.
    """
    try:
        return socket.create_server((host, port))
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"rest: cannot serve on {host} port {port} ({error}); name another one with --port"
        ) from error


def main() -> int:
    """Entry point of `inhand rest`."""
    options = tyro.cli(Options, prog="inhand rest", config=(tyro.conf.FlagCreatePairsOff,))
    try:
        rest = Rest(options, new_token())
        listening = listen(options.host, options.port)
    except InhandError as error:
        sys.exit(f"error: {error}")
    lower_priority()
    port = listening.getsockname()[1]
    print(f"rest: http://{options.host}:{port}\ntoken: {rest.token}", flush=True)
    settings = uvicorn.Config(
        rest.application(), log_level="warning", access_log=False, ws_max_size=MAX_SIZE
    )
    uvicorn.Server(settings).run(sockets=[listening])
    return 0
