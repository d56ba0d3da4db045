"""The page in a real browser: it shows the hand, sends a goal, and shows that it was reached."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from inhand.controller.safety.modes import Mode
from tests.controller.bench_hand import HAND, learned
from tests.controller.cli.test_demo import ObligingBench
from tests.controller.served import UNHURRIED
from tests.controller.view.browser import browser
from tests.controller.view.watched import served

Open = Callable[[bool], str]


def test_a_goal_is_set_on_the_page_and_seen_reached(tmp_path: Path, open_page: Open) -> None:
    bench = ObligingBench(learned(tmp_path), UNHURRIED)
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
    bench = ObligingBench(learned(tmp_path), UNHURRIED)
    with served(tmp_path, bench), browser() as page:
        page.goto(open_page(True).partition("?")[0])
        page.get_by_role("button", name="enable", exact=True).click()
        page.get_by_text("watching only").wait_for()
        page.get_by_role("button", name="EMERGENCY STOP").click()
        page.get_by_role("heading", name="estop", exact=True).wait_for()


def test_an_observer_gets_only_the_emergency_stop(tmp_path: Path, open_page: Open) -> None:
    with served(tmp_path, ObligingBench(learned(tmp_path), UNHURRIED)), browser() as page:
        page.goto(open_page(False))
        page.get_by_role("button", name="EMERGENCY STOP").wait_for()
        assert page.get_by_role("button", name="enable", exact=True).count() == 0
        for tab in ("Command", "Joints"):
            assert page.get_by_role("tab", name=tab).count() == 0


def until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_sliders_move_joints_until_the_page_is_left(tmp_path: Path, open_page: Open) -> None:
    # Page, browser and hand share a busy machine: a late request must not end the mode.
    bench = ObligingBench(learned(tmp_path), UNHURRIED)
    names = HAND.actuator_names
    joint = names.index("FFJ3")
    with served(tmp_path, bench), browser() as page:
        address = open_page(True)
        page.goto(address)
        page.get_by_role("tab", name="Joints").click()
        begin = page.get_by_role("button", name="Command joints", exact=True)
        begin.click()
        page.get_by_text("not in mode off").wait_for()
        page.get_by_role("tab", name="Command").click()
        page.get_by_role("button", name="enable", exact=True).click()
        page.get_by_role("heading", name="holding", exact=True).wait_for()
        page.get_by_role("tab", name="Joints").click()
        begin.click()
        page.get_by_role("heading", name="manual", exact=True).wait_for()
        page.get_by_text("the sliders command the joints").wait_for()
        before = bench.servos.copy()
        # The first slider is that of the speed.
        slider = page.get_by_role("slider").nth(1 + joint)
        for _ in range(10):
            slider.press("ArrowRight")
        until(lambda: bench.servos[joint] > before[joint] + 0.08)
        others = np.arange(len(names)) != joint
        assert np.abs((bench.servos - before)[others]).max() < 0.02
        page.get_by_role("button", name="Stop commanding joints").click()
        page.get_by_role("heading", name="holding", exact=True).wait_for()
        at = bench.servos.copy()
        begin.click()
        page.get_by_role("heading", name="manual", exact=True).wait_for()
        # A browser that is gone commands no joint any more.
        page.goto("about:blank")
        until(lambda: bench.mode == Mode.HOLDING)
        np.testing.assert_allclose(bench.servos, at, atol=0.02)
