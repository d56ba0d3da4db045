"""The whole of it: a simulated hand turns the block to a goal that was set on the page.

With `INHAND_SCREENSHOT=FILE` it leaves there the picture that the README shows.
"""

import os
import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import Page

from inhand.controller.client.simulated import simulated_daemon, view_of
from inhand.controller.client.sync import Client
from tests.controller.view.browser import browser

PATIENCE = 1800.0


def press(page: Page, *names: str) -> None:
    for name in names:
        # Without a mouse, whose clicks wait for pictures that a busy machine does not draw.
        page.get_by_role("button", name=name, exact=True).evaluate("button => button.click()")
        page.wait_for_timeout(2000)


def make_running(page: Page, mode: str) -> None:
    """Brings the hand from any mode to where it turns the block."""
    if mode in ("fault", "estop"):
        press(page, "clear")
    if mode in ("fault", "estop", "off"):
        press(page, "enable")
    if mode in ("fault", "estop", "off", "holding"):
        press(page, "home", "Put the object back (simulation)", "arm")
    press(page, "Random goals without end")


@pytest.mark.slow
def test_a_simulated_hand_is_seen_turning_the_block(tmp_path: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    with (
        simulated_daemon(tmp_path),
        view_of(tmp_path) as said,
        Client(tmp_path, timeout=120) as client,
        browser(1000, 640, nice=15) as page,
    ):
        assert re.fullmatch(r"view: http://127\.0\.0\.1:\d+/\?token=[\w-]+", said)
        page.goto(said.removeprefix("view: "))
        page.get_by_role("button", name="EMERGENCY STOP").wait_for()
        while not (status := client.status())["reached"]:
            assert time.monotonic() < deadline, status
            if status["mode"] != "running":
                make_running(page, status["mode"])
            page.wait_for_timeout(1000)
        page.get_by_text(re.compile(r"reached [1-9]")).wait_for()
        # That there is no graphics card is no news.
        page.evaluate(
            "document.querySelectorAll('[class*=Notification-closeButton]').forEach(x => x.click())"
        )
        page.wait_for_timeout(1000)
        if file := os.environ.get("INHAND_SCREENSHOT"):
            page.screenshot(path=file, timeout=300_000)
