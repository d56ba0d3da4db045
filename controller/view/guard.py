"""Who may open the page, and what a browser may send to it.

viser accepts every WebSocket and every message: a page of another site in the same browser could
press its buttons, and one message could remove a button's callback. This module puts itself
between viser and the `websockets` library, and refuses what the page does not need.
"""

import hmac
import http
import ipaddress
import secrets
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import websockets.asyncio.server
from viser import ClientHandle
from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from inhand.controller.view.page_script import add_script

MOST_BROWSERS = 32
"""Most connections at a time."""

LARGEST_MESSAGE = 1 << 20
"""Largest message of a browser [bytes]."""

_LOOKING = {"ViewerCameraMessage"}
"""Messages of a browser that change nothing that others see."""
_USING = {
    "TransformControlsUpdateMessage",
    "TransformControlsDragStartMessage",
    "TransformControlsDragEndMessage",
}
"""Messages of a browser that has the token; those of buttons and other inputs are checked apart."""
_UPDATE = "GuiUpdateMessage"
_KEY = "CommandTriggerMessage"

_HEADERS = {
    # Another site must not show this page in a frame and have its buttons pressed there.
    "Content-Security-Policy": "frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    # The address may hold the token.
    "Referrer-Policy": "no-referrer",
}

Handler = Callable[[Any], Awaitable[None]]


class _Message(msgspec.Struct):
    type: str


class _Key(msgspec.Struct, forbid_unknown_fields=True):
    """viser's message about a key: the identifier of its command."""

    type: str
    uuid: str


class _Update(msgspec.Struct, forbid_unknown_fields=True):
    """viser's message about an input: its identifier, and its properties that change."""

    type: str
    uuid: str
    updates: dict[str, Any]


class Guard:
    """Admits browsers, and passes on what they may send.

    A browser that has the token may use all controls. Any other one on the page's own address may
    watch, and press the buttons in `for_all`.

    Args:
        host: address that the page is served on.

    Attributes:
        token: what the address of a browser must contain to use the page's controls.
        for_all: viser's identifiers of the buttons and keys that every browser may press.
    """

    def __init__(self, host: str) -> None:
        self.token = secrets.token_urlsafe(16)
        self._host = host
        self.for_all: set[str] = set()
        self._connections = 0

    @contextmanager
    def installed(self) -> Iterator[None]:
        """A viser server that is made in this block is guarded."""
        original = websockets.asyncio.server.serve

        def serve(handler: Handler, host: str, port: int, **options: Any) -> object:
            inner = options.pop("process_request")
            options["max_size"] = LARGEST_MESSAGE
            return original(
                self._guarded(handler),
                host,
                port,
                process_request=lambda connection, request: self._answer(
                    connection, request, inner
                ),
                **options,
            )

        # It is a class; viser only calls it.
        websockets.asyncio.server.serve = serve  # type: ignore[assignment,misc]
        try:
            yield
        finally:
            websockets.asyncio.server.serve = original  # type: ignore[misc]

    def _guarded(self, handler: Handler) -> Handler:
        async def handle(connection: ServerConnection) -> None:
            assert connection.request is not None
            browser = Browser(connection, self, trusted=self._has_token(connection.request))
            if self._connections >= MOST_BROWSERS:
                await connection.close(1013, f"{MOST_BROWSERS} browsers have the page open")
                return
            self._connections += 1
            _CURRENT.set(browser)
            try:
                await handler(browser)
            finally:
                self._connections -= 1

        return handle

    def _answer(
        self,
        connection: ServerConnection,
        request: Request,
        inner: Callable[[ServerConnection, Request], Response | None],
    ) -> Response | None:
        """Answers an HTTP request; None opens a WebSocket."""
        if not self._is_own(request.headers.get("Host", "")):
            return _refusal("this page has another address; open the one that was printed")
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != request.headers.get("Host"):
            return _refusal("another site may not use this page")
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return None
        address = urlsplit(request.path)
        given = parse_qs(address.query).get("token")
        if given is not None and address.path == "/":
            if not self._is_token(given[0]):
                return _refusal("this token is of an earlier start; open the address printed last")
            # The token leaves the address bar, and stays in a cookie of this site alone.
            cookie = f"{self._cookie(request)}={self.token}; Path=/; HttpOnly; SameSite=Strict"
            moved = Headers(Location="/", **{"Set-Cookie": cookie, "Content-Length": "0"})
            moved.update(_HEADERS)
            return Response(http.HTTPStatus.SEE_OTHER, "See Other", moved)
        response = inner(connection, request)
        if response is not None:
            if address.path == "/":
                add_script(response)
            response.headers.update(_HEADERS)
        return response

    def _has_token(self, request: Request) -> bool:
        """Whether the cookie or the address of a WebSocket has the token."""
        given = parse_qs(urlsplit(request.path).query).get("token", [])
        cookies: SimpleCookie = SimpleCookie()
        for text in request.headers.get_all("Cookie"):
            try:
                cookies.load(text)
            except CookieError:
                continue
        if (own := cookies.get(self._cookie(request))) is not None:
            given = [*given, own.value]
        return any(self._is_token(one) for one in given)

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self.token.encode())

    def _cookie(self, request: Request) -> str:
        """Name of the cookie: browsers share cookies between the ports of a host."""
        return f"inhand-{urlsplit('//' + request.headers.get('Host', '')).port or 80}"

    def _is_own(self, host: str) -> bool:
        """Whether a request's host is a name of this machine.

        A name under which another site reaches this machine (DNS rebinding) is refused.
        """
        try:
            address = urlsplit(f"//{host}")
            name, _ = address.hostname or "", address.port
        except ValueError:
            return False
        machine = socket.gethostname().lower()
        own = {"localhost", self._host.lower(), machine, f"{machine}.local"}
        return name in own or _is_number(name)


class Browser:
    """A browser's connection, which passes on only what it may send.

    Args:
        connection: of the `websockets` library.
        guard: has the rules.
        trusted: whether the browser has the token.
    """

    def __init__(self, connection: ServerConnection, guard: Guard, *, trusted: bool) -> None:
        self._connection, self._guard, self.trusted = connection, guard, trusted
        self.client: ClientHandle | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def recv(self) -> bytes:
        """The next message that the browser may send."""
        while True:
            message = await self._connection.recv()
            if isinstance(message, bytes) and self._may_send(message):
                return message

    def _may_send(self, data: bytes) -> bool:
        try:
            kind = msgspec.msgpack.decode(data, type=_Message).type
            update = msgspec.msgpack.decode(data, type=_Update) if kind == _UPDATE else None
            key = msgspec.msgpack.decode(data, type=_Key) if kind == _KEY else None
        except (msgspec.DecodeError, RecursionError):
            return False
        pressed = update or key
        if pressed is None:
            return kind in _LOOKING or (kind in _USING and self.trusted)
        # Any other property than the value would change the control itself.
        if update is not None and set(update.updates) != {"value"}:
            return False
        if self.trusted or pressed.uuid in self._guard.for_all:
            return True
        self._explain()
        return False

    def _explain(self) -> None:
        if self.client is not None:
            self.client.add_notification(
                "watching only",
                "Here only the emergency stop works. To use the other controls, open the address "
                "that was printed at the start; it ends with a token.",
                auto_close_seconds=6.0,
                color="red",
            )


_CURRENT: ContextVar[Browser] = ContextVar("browser")


def note_client(client: ClientHandle) -> None:
    """Tells the browser's connection its viser client; called while viser connects it."""
    _CURRENT.get().client = client


def _is_number(name: str) -> bool:
    """Whether a host is given as an IP address, which no name server can change."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _refusal(text: str) -> Response:
    body = f"{text}\n".encode()
    headers = Headers(
        **{"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(body))}
    )
    headers.update(_HEADERS)
    return Response(http.HTTPStatus.FORBIDDEN, "Forbidden", headers, body)
