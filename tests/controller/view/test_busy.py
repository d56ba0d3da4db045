"""The demonstration while somebody looks at it, on a machine that has much else to do."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.controller.view.browser import browser

BUSY = 4
"""Processes that take what processor they get."""
WORK = "import os\nparent = os.getppid()\nwhile os.getppid() == parent: pass"
"""What they do, as long as their parent runs."""


@contextmanager
def busy(count: int) -> Iterator[None]:
    """So many processes that work without end."""
    others = [subprocess.Popen([sys.executable, "-c", WORK]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def watched_demo(*arguments: str) -> tuple[int, list[str]]:
    """Exit code and lines of a demonstration whose page is open in a browser."""
    process = subprocess.Popen(
        [sys.executable, "-m", "inhand.controller.cli.demo", "--view", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    lines: list[str] = []
    try:
        for line in process.stdout:
            lines.append(line.rstrip())
            if address := re.search(r"view: (http://\S+)", line):
                break
        assert address, lines
        with browser(1000, 640) as page:
            page.goto(address[1])
            lines += [line.rstrip() for line in process.stdout]
        return process.wait(), lines
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 6))
def test_all_goals_are_reached_with_a_browser_and_four_busy_processes(seed: int) -> None:
    with busy(BUSY):
        code, lines = watched_demo("--seed", str(seed))
    assert code == 0, lines
    assert lines[-1] == "reached 10/10 goals"
    assert not [line for line in lines if "stale" in line or "cannot be read" in line], lines
