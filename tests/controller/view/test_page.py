"""The page in a real browser: it shows the hand, sends a goal, and shows that it was reached."""

import os
from collections.abc import Callable
from pathlib import Path

from tests.controller.bench_hand import learned
from tests.controller.cli.test_demo import ObligingBench
from tests.controller.view.browser import browser
from tests.controller.view.watched import served

Open = Callable[[bool], str]


def test_a_goal_is_set_on_the_page_and_seen_reached(tmp_path: Path, open_page: Open) -> None:
    bench = ObligingBench(learned(tmp_path))
    with served(tmp_path, bench), browser() as page:
        page.goto(open_page(True))
        for button, mode in (("enable", "holding"), ("arm", "ready")):
            page.get_by_role("button", name=button, exact=True).click()
            page.get_by_role("heading", name=mode, exact=True).wait_for()
        # That it is running may be over before a busy browser has drawn it.
        page.get_by_role("button", name="-x", exact=True).click()
        page.get_by_text("reached 1 (1 in a row)").wait_for()
        page.get_by_role("button", name="EMERGENCY STOP").click()
        page.get_by_role("heading", name="estop", exact=True).wait_for()
        if folder := os.environ.get("INHAND_SCREENSHOTS"):
            page.screenshot(path=Path(folder) / "bench.png")


def test_without_the_token_a_page_explains_that_it_only_watches(
    tmp_path: Path, open_page: Open
) -> None:
    bench = ObligingBench(learned(tmp_path))
    with served(tmp_path, bench), browser() as page:
        page.goto(open_page(True).partition("?")[0])
        page.get_by_role("button", name="enable", exact=True).click()
        page.get_by_text("watching only").wait_for()
        page.get_by_role("button", name="EMERGENCY STOP").click()
        page.get_by_role("heading", name="estop", exact=True).wait_for()


def test_an_observer_gets_only_the_emergency_stop(tmp_path: Path, open_page: Open) -> None:
    with served(tmp_path, ObligingBench(learned(tmp_path))), browser() as page:
        page.goto(open_page(False))
        page.get_by_role("button", name="EMERGENCY STOP").wait_for()
        assert page.get_by_role("button", name="enable", exact=True).count() == 0
        assert page.get_by_role("tab", name="Command").count() == 0
