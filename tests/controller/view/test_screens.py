"""The page in a real browser: keys, dark mode, a phone, no WebGL, and a picture of each state.

With `INHAND_PICTURES=FOLDER` the pictures of the documents are left there.
"""

import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page

from inhand.controller.client.sync import Client
from inhand.controller.errors import RefusedError
from inhand.controller.safety.modes import Happening, Mode
from tests.controller.bench_hand import learned
from tests.controller.cli.test_demo import ObligingBench
from tests.controller.served import UNHURRIED
from tests.controller.view.browser import WITHOUT_WEBGL, browser
from tests.controller.view.watched import served

Open = Callable[[bool], str]

DOCS = Path(__file__).parents[3] / "docs"
SCREENS = (*(str(mode) for mode in Mode), "waiting", "silent", "goals", "servos", "phone", "dark")


def heading(page: Page, mode: str) -> None:
    """Waits until the page shows this mode."""
    page.get_by_role("heading", name=mode, exact=True).wait_for()


@pytest.fixture
def bench(tmp_path: Path) -> ObligingBench:
    bench = ObligingBench(learned(tmp_path), UNHURRIED)
    bench.speed = 0.6
    return bench


@contextmanager
def running(tmp_path: Path, bench: ObligingBench) -> Iterator[None]:
    """A hand that turns its object slowly."""
    with served(tmp_path, bench), Client(tmp_path, timeout=120) as client:
        client.call("enable")
        until_held(client)
        client.call("arm")
        client.call("random_goals", count=0)
        yield


def until_held(client: Client) -> None:
    deadline = time.monotonic() + 120
    while not client.status()["object"]["in_hand"]:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextmanager
def commanded(directory: Path) -> Iterator[None]:
    """Commands a joint again and again, without which `manual` ends."""
    over = threading.Event()

    def command() -> None:
        with Client(directory, timeout=120) as client:
            while not over.wait(0.05):
                try:
                    client.joints({"FFJ3": 0.6}, wait=False)
                except RefusedError:
                    # On a busy machine a pause was too long.
                    client.call("manual")

    thread = threading.Thread(target=command)
    thread.start()
    yield
    over.set()
    thread.join()


def test_space_holds_and_escape_stops_wherever_the_focus_is(
    tmp_path: Path, bench: ObligingBench, open_page: Open
) -> None:
    with running(tmp_path, bench), browser() as page:
        page.emulate_media(color_scheme="dark")
        page.goto(open_page(True))
        heading(page, "running")
        assert page.locator("[data-mantine-color-scheme=dark]").count() == 1
        # A focused button must not be pressed by the same key.
        page.get_by_role("button", name="Random goals without end").focus()
        page.keyboard.press("Space")
        heading(page, "holding")
        page.get_by_role("tab", name="Servos").click()
        page.locator("input").first.focus()
        page.keyboard.press("Escape")
        heading(page, "estop")
        assert not any(event.kind == "goal_started" for event in bench.events)


def test_without_the_token_escape_stops_and_space_does_nothing(
    tmp_path: Path, bench: ObligingBench, open_page: Open
) -> None:
    with running(tmp_path, bench), browser(390, 800) as page:
        page.emulate_media(color_scheme="light")
        page.goto(open_page(True).partition("?")[0])
        heading(page, "running")
        assert page.locator("[data-mantine-color-scheme=light]").count() == 1
        page.keyboard.press("Space")
        page.get_by_text("watching only").wait_for()
        assert bench.mode == Mode.RUNNING
        # On a phone the page does not scroll sideways, and the stop is in view.
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        box = page.get_by_role("button", name="EMERGENCY STOP").bounding_box()
        assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= 390
        assert box["y"] + box["height"] <= 800
        page.keyboard.press("Escape")
        heading(page, "estop")


def test_a_browser_without_webgl_is_told_in_one_sentence(
    tmp_path: Path, bench: ObligingBench, open_page: Open
) -> None:
    with served(tmp_path, bench), browser(flags=WITHOUT_WEBGL) as page:
        page.goto(open_page(False))
        told = page.locator("#inhand-no-webgl")
        told.wait_for()
        assert re.fullmatch(r"This browser cannot draw [^.]*WebGL 2[^.]*\.", told.inner_text())


@pytest.mark.slow
def test_every_state_has_its_picture(tmp_path: Path, bench: ObligingBench, open_page: Open) -> None:
    folder = Path(os.environ.get("INHAND_PICTURES", tmp_path / "pictures"))
    folder.mkdir(exist_ok=True)
    bench.temperature = np.linspace(34.0, 66.0, 20)

    with browser(760, 475) as page:

        def keep(name: str) -> None:
            if name != "silent":
                page.get_by_text("nothing heard from the daemon").wait_for(state="hidden")
            page.evaluate(
                "document.querySelectorAll('[class*=Notification-closeButton]')"
                ".forEach(x => x.click())"
            )
            page.wait_for_timeout(1500)
            page.screenshot(path=folder / f"view-{name}.jpg", type="jpeg", quality=60)

        page.goto(open_page(True))
        page.get_by_text("waiting for the daemon").wait_for()
        keep("waiting")
        with served(tmp_path, bench), Client(tmp_path, timeout=120) as client:
            for requests, mode in (
                ((), "off"),
                (("enable",), "holding"),
                (("manual",), "manual"),
                (("hold", "arm"), "ready"),
            ):
                for request in requests:
                    client.call(request)
                with commanded(tmp_path) if mode == "manual" else nullcontext():
                    heading(page, mode)
                    keep(mode)
                if mode == "off":
                    until_held(client)
            client.call("random_goals", count=0)
            heading(page, "running")
            page.get_by_text(re.compile(r"reached [3-9]")).wait_for()
            keep("running")
            for tab in ("Goals", "Servos"):
                page.get_by_role("tab", name=tab).click()
                keep(tab.lower())
            page.get_by_role("tab", name="Command").click()
            page.set_viewport_size({"width": 390, "height": 800})
            page.reload()
            heading(page, "running")
            keep("phone")
            page.set_viewport_size({"width": 760, "height": 475})
            page.emulate_media(color_scheme="dark")
            page.reload()
            heading(page, "running")
            keep("dark")
            page.emulate_media(color_scheme="light")
            page.goto(page.url.partition("?")[0])
            heading(page, "running")
            bench.controller.report(Happening.SERVO_ERROR, "servo FFJ3 reports overload")
            heading(page, "fault")
            keep("fault")
            client.call("estop")
            heading(page, "estop")
            keep("estop")
        page.get_by_text("nothing heard from the daemon").wait_for()
        keep("silent")
    assert {path.stem for path in folder.glob("view-*.jpg")} >= {f"view-{x}" for x in SCREENS}


def test_the_documents_show_every_state() -> None:
    text = (DOCS / "view.md").read_text()
    for name in SCREENS:
        assert f"(images/view-{name}.jpg)" in text
        assert (DOCS / "images" / f"view-{name}.jpg").stat().st_size > 5000
