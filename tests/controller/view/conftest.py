"""A page that a browser can open."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from inhand.controller.view.live import LiveFeed
from inhand.controller.view.page import Commander, Page

Open = Callable[[bool], str]


@pytest.fixture
def open_page(tmp_path: Path) -> Iterator[Open]:
    ended = threading.Event()
    closing: list[Callable[[], object]] = []

    def open(command: bool) -> str:
        feed = LiveFeed(tmp_path, None)
        send = Commander(tmp_path, None)
        page = Page(feed, host="127.0.0.1", port=8190, send=send, command=command)
        page.open()
        feed.start()
        thread = threading.Thread(target=page.run, args=(ended.is_set,))
        thread.start()
        closing.extend((thread.join, page.close, feed.close))
        return page.address

    yield open
    ended.set()
    for close in closing:
        close()
