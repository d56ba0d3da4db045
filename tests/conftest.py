"""Tests that need PyBullet are skipped on a Python for which it has no wheels."""

import sys
from collections.abc import Generator
from importlib.util import find_spec

import pytest

from inhand.errors import NEWEST_OF_PYBULLET

WITHOUT_PYBULLET = find_spec("pybullet") is None and sys.version_info[:2] > NEWEST_OF_PYBULLET
REASON = f"PyBullet has wheels up to Python {'.'.join(map(str, NEWEST_OF_PYBULLET))}"


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if WITHOUT_PYBULLET and report.failed and "No module named 'pybullet'" in str(report.longrepr):
        report.outcome = "skipped"
        report.longrepr = (str(collector.path), 0, REASON)
    return report
