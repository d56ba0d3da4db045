"""Readers of the page's socket without a browser: new ones, and one that stops reading."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import viser
from websockets.sync.client import ClientConnection, connect

from inhand.controller.view.live import LiveFeed
from inhand.controller.view.page import Page
from inhand.controller.view.view_model import Picture
from tests.controller.view.watched import served, until

PATIENCE = 120.0
SCENE = 10_000
"""A message of this size holds the scene [bytes]."""


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    with served(tmp_path):
        feed = LiveFeed(tmp_path, None)
        page = Page(feed, host="127.0.0.1", port=8290)
        page.open()
        feed.start()
        over = threading.Event()
        thread = threading.Thread(target=page.run, args=(over.is_set,))
        thread.start()
        until(lambda: page._panel is not None and feed.moment() is not None, feed)
        yield page
        over.set()
        thread.join()
        page.close()
        feed.close()


@contextmanager
def reader(page: Page, *, queue: int | None = 16) -> Iterator[ClientConnection]:
    """What a browser has of the page; `queue` messages are taken before any is asked for."""
    versions = [f"viser-v{viser.__version__}"]
    with connect(
        page.address.replace("http", "ws"),
        subprotocols=versions,
        max_size=None,
        max_queue=queue,
        close_timeout=0.1,
    ) as socket:
        yield socket


def scene_comes(socket: ClientConnection) -> bool:
    """Whether the scene comes in time."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            if len(socket.recv(timeout=1.0)) > SCENE:
                return True
        except TimeoutError:
            continue
    return False


def draw_with(page: Page, do: Callable[[], None]) -> None:
    """Has something done with every drawing of the pictures."""
    panel = page._panel
    assert panel is not None

    def show(_: Mapping[str, Picture]) -> None:
        do()

    panel.show_pictures = show


def test_opening_the_page_does_not_wait_for_a_drawing(page: Page) -> None:
    arrived = threading.Event()
    drawing = threading.Event()

    def slow() -> None:
        drawing.set()
        arrived.wait(2 * PATIENCE)

    draw_with(page, slow)
    with reader(page) as first:
        assert scene_comes(first) and drawing.wait(PATIENCE)
        with reader(page) as second:
            came = scene_comes(second)
        arrived.set()
    assert came


def test_a_browser_that_stops_reading_does_not_delay_others(page: Page) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (480, 640, 3), dtype=np.uint8)
    panel = page._panel
    assert panel is not None
    handle = next(iter(panel._pictures.values()))
    drawn = 0

    def show_noise() -> None:
        nonlocal drawn
        drawn += 1
        handle.image = np.roll(noise, drawn, axis=0)

    draw_with(page, show_noise)
    buffer = page._server._websock_server._broadcast_buffer
    with reader(page, queue=1) as asleep:
        deadline = time.monotonic() + PATIENCE

        def behind() -> bool:
            """Whether what the sleeper has not taken is more than a few pictures."""
            cursors = tuple(buffer.generator_cursors.values())
            return bool(cursors) and buffer.message_counter - min(cursors) > 100

        while not behind():
            assert time.monotonic() < deadline, "it never fell behind"
            time.sleep(0.1)
        kept = len(buffer.message_from_id)
        with reader(page) as awake:
            assert scene_comes(awake)
            before = drawn
            while drawn < before + 5:
                assert time.monotonic() < deadline + PATIENCE
                awake.recv(timeout=PATIENCE)
        # Of what it misses, only the newest of each kind is kept.
        assert len(buffer.message_from_id) < kept + 50
        # Awake again, it gets what is there now.
        assert scene_comes(asleep)
