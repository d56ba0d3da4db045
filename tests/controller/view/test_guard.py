"""What a browser may send to the page: other sites, viewers without the token, hostile messages."""

import gzip
import http.client
import queue
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
import viser
from viser import GuiButtonHandle, GuiCheckboxHandle, ViserServer
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from inhand.controller.view.guard import MOST_BROWSERS, Guard

WAIT = 120.0


@dataclass
class Guarded:
    """A small page behind a guard.

    Attributes:
        pressed: names of the buttons whose callbacks were called.
    """

    guard: Guard
    server: ViserServer
    stop: GuiButtonHandle
    other: GuiButtonHandle
    box: GuiCheckboxHandle
    pressed: "queue.Queue[str]" = field(default_factory=queue.Queue)

    @property
    def netloc(self) -> str:
        return f"127.0.0.1:{self.server.get_port()}"

    def get(self, path: str, **headers: str) -> http.client.HTTPResponse:
        """Answer to an HTTP request."""
        connection = http.client.HTTPConnection(self.netloc, timeout=WAIT)
        connection.request("GET", path, headers=headers)
        return connection.getresponse()

    @contextmanager
    def browser(self, query: str = "", **options: Any) -> Iterator[ClientConnection]:
        """A WebSocket as a browser opens it, which viser counts as connected."""
        with connect(
            f"ws://{self.netloc}/{query}",
            subprotocols=[f"viser-v{viser.__version__}"],  # type: ignore[list-item]
            max_size=None,
            **options,
        ) as socket:
            send(socket, **LOOK)
            yield socket


LOOK = {
    "type": "ViewerCameraMessage",
    "wxyz": [1.0, 0.0, 0.0, 0.0],
    "position": [0.0, 0.0, 1.0],
    "fov": 1.0,
    "near": 0.1,
    "far": 10.0,
    "image_height": 100,
    "image_width": 100,
    "look_at": [0.0, 0.0, 0.0],
    "up_direction": [0.0, 0.0, 1.0],
}


@pytest.fixture(scope="module")
def server() -> Iterator[Guarded]:
    guard = Guard("127.0.0.1")
    with guard.installed():
        server = ViserServer(host="127.0.0.1", port=8290, verbose=False)
    stop, other = server.gui.add_button("stop"), server.gui.add_button("other")
    guarded = Guarded(guard, server, stop, other, server.gui.add_checkbox("box", False))
    for name, button in (("stop", stop), ("other", other)):
        button.on_click(lambda _, name=name: guarded.pressed.put(name))
    guard.for_all.add(stop._impl.uuid)
    yield guarded
    server.stop()


@pytest.fixture
def page(server: Guarded) -> Guarded:
    assert server.pressed.empty()
    return server


def send(socket: ClientConnection, **message: Any) -> None:
    socket.send(msgspec.msgpack.encode(message))


def press(socket: ClientConnection, button: GuiButtonHandle, **updates: Any) -> None:
    changes = updates or {"value": True}
    send(socket, type="GuiUpdateMessage", uuid=button._impl.uuid, updates=changes)


def token(page: Guarded) -> str:
    return f"?token={page.guard.token}"


@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1:1", "null"])
def test_a_page_of_another_site_cannot_connect(page: Guarded, origin: str) -> None:
    with pytest.raises(InvalidStatus, match="403"), page.browser(token(page), origin=origin):
        pass


def test_the_own_page_can_connect(page: Guarded) -> None:
    with page.browser(token(page), origin=f"http://{page.netloc}") as socket:
        press(socket, page.other)
        assert page.pressed.get(timeout=WAIT) == "other"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "127.0.0.1:99999", ""])
def test_another_name_for_this_machine_is_refused(page: Guarded, host: str) -> None:
    answer = page.get("/", Host=host)
    assert answer.status == 403 and b"address" in answer.read()


def test_no_other_site_can_show_the_page_in_a_frame(page: Guarded) -> None:
    answer = page.get("/")
    assert answer.status == 200
    assert answer.headers["Content-Security-Policy"] == "frame-ancestors 'none'"


def test_the_token_becomes_a_cookie(page: Guarded) -> None:
    answer = page.get(f"/{token(page)}")
    assert answer.status == 303 and urlsplit(answer.headers["Location"]).query == ""
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
    headers = {"Cookie": f"other=1; {cookie.split(';')[0]}"}
    with page.browser(additional_headers=headers) as socket:
        press(socket, page.other)
        assert page.pressed.get(timeout=WAIT) == "other"
    assert page.get("/?token=wrong").status == 403


@pytest.mark.parametrize("query", ["", "?token=wrong"])
def test_without_the_token_only_the_stop_can_be_pressed(page: Guarded, query: str) -> None:
    with page.browser(query) as socket:
        press(socket, page.other)
        send(socket, type="GuiUpdateMessage", uuid=page.box._impl.uuid, updates={"value": True})
        press(socket, page.stop)
        # Messages are handled in order.
        assert page.pressed.get(timeout=WAIT) == "stop"
    assert page.box.value is False


HOSTILE = [
    {"removed": True},
    {"update_cb": []},
    {"value": True, "disabled": True},
    {"visible": False},
    {"label": "all is well"},
]


@pytest.mark.parametrize("updates", HOSTILE, ids=lambda updates: next(iter(updates)))
@pytest.mark.parametrize("trusted", [True, False])
def test_no_browser_can_change_a_control_itself(
    page: Guarded, updates: dict[str, Any], trusted: bool
) -> None:
    with page.browser(token(page) if trusted else "") as socket:
        press(socket, page.stop, **updates)
        press(socket, page.stop)
        assert page.pressed.get(timeout=WAIT) == "stop"
    assert page.stop.label == "stop" and page.stop.visible and not page.stop.disabled
    assert page.pressed.empty()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"\x91" * 5000,
        msgspec.msgpack.encode([1, 2]),
        msgspec.msgpack.encode({"type": "ShareUrlRequest"}),
        msgspec.msgpack.encode({"type": ["GuiUpdateMessage"]}),
        msgspec.msgpack.encode({"type": "GuiUpdateMessage"}),
        msgspec.msgpack.encode({"type": "GuiUpdateMessage", "uuid": [1], "updates": {"value": 1}}),
        msgspec.msgpack.encode({"type": "GuiRemoveMessage", "uuid": "x"}),
        msgspec.msgpack.encode({"type": "NoSuchMessage"}),
    ],
)
def test_other_messages_are_ignored(page: Guarded, data: bytes) -> None:
    with page.browser(token(page)) as socket:
        socket.send(data)
        socket.send("text")
        press(socket, page.stop)
        assert page.pressed.get(timeout=WAIT) == "stop"
    assert page.server._share_tunnel is None


def test_the_number_of_browsers_is_bounded_and_places_become_free(page: Guarded) -> None:
    with page.browser() as first:
        opened = [connect_raw(page) for _ in range(MOST_BROWSERS + 3)]
        press(first, page.stop)
        assert page.pressed.get(timeout=WAIT) == "stop"
        assert page.guard._connections <= MOST_BROWSERS
        for socket in opened:
            socket.close()
    with page.browser() as last:
        press(last, page.stop)
        assert page.pressed.get(timeout=WAIT) == "stop"


def connect_raw(page: Guarded) -> ClientConnection:
    return connect(
        f"ws://{page.netloc}/",
        subprotocols=[f"viser-v{viser.__version__}"],  # type: ignore[list-item]
        max_size=None,
    )


def test_a_key_is_for_who_may_press_its_button(page: Guarded) -> None:
    keys = {name: page.server.gui.add_command(name, hotkey="H") for name in ("hold", "stop")}
    for name, key in keys.items():
        key.on_trigger(lambda _, name=name: page.pressed.put(name))
    page.guard.for_all.add(keys["stop"]._impl.uuid)

    def type_all(socket: ClientConnection) -> None:
        for key in keys.values():
            send(socket, type="CommandTriggerMessage", uuid=key._impl.uuid)

    with page.browser() as socket:
        type_all(socket)
        assert page.pressed.get(timeout=WAIT) == "stop"
    with page.browser(token(page)) as socket:
        type_all(socket)
        assert {page.pressed.get(timeout=WAIT) for _ in keys} == {"hold", "stop"}
        # With more than the identifier it is no key of the page.
        send(socket, type="CommandTriggerMessage", uuid=keys["hold"]._impl.uuid, props={})
        send(socket, type="CommandTriggerMessage", uuid=keys["stop"]._impl.uuid)
        assert page.pressed.get(timeout=WAIT) == "stop"
    for key in keys.values():
        key.remove()


def test_the_page_is_served_with_its_script(page: Guarded) -> None:
    answer = page.get("/")
    text = answer.read()
    assert int(answer.headers["Content-Length"]) == len(text)
    assert text.index(b"inhand-no-webgl") < text.index(b"<title>")
    packed = page.get("/", **{"Accept-Encoding": "gzip"})
    assert gzip.decompress(packed.read()) == text
