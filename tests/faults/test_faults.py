"""Each fault, and each pair of the likeliest: what the daemon does, by when, how it recovers."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path

import pytest

from tests.faults.catalogue import FAULTS, GRAVITY, LIKELIEST, Fault, graver, shows
from tests.faults.report import Report, Row
from tests.faults.station import Station

CALM = ("refused", "goes on")
"""Reactions after which the hand is at work as before."""

SLACK = 0.25
"""What a busy machine may add to a deadline [s]."""

QUICK = (
    "one servo silent",
    "serial port gone",
    "garbage before every reply",
    "one camera gone",
    "all cameras gone",
    "object dropped",
    "policy says NaN",
    "policy takes 0.2 s",
    "tick stalled for 50 ms",
    "10,000 requests a second",
)
"""Faults that every run of the tests tries."""


@pytest.fixture(scope="session")
def report() -> Iterator[Report]:
    report = Report()
    yield report
    if path := os.environ.get("INHAND_RELIABILITY"):
        report.write(Path(path))


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    station = Station(tmp_path_factory.mktemp("station"))
    yield station
    station.close()


@contextmanager
def noted(report: Report, row: Row) -> Iterator[Row]:
    """Puts a row into the report, whether the test passes or not."""
    report.rows.append(row)
    yield row
    row.passed = True


def marked(names: list[str]) -> list[object]:
    """The names, with those that take their time marked as slow."""
    slow = pytest.mark.slow
    return [name if name in QUICK else pytest.param(name, marks=slow) for name in names]


@pytest.mark.parametrize("name", marked(list(FAULTS)))
def test_a_fault(station: Station, report: Report, name: str) -> None:
    fault = FAULTS[name]
    row = Row((fault.name,), fault.wire, fault.reaction, fault.within)
    with noted(report, row):
        station.work()
        since, before = station.number(), len(station.servos.violations)
        began = time.monotonic()
        fault.inject(station)
        try:
            if fault.reaction in CALM:
                time.sleep(fault.lasts)
            else:
                event = station.until(since, shows(fault.reaction, fault.cause))
                row.safe = event["t"] - (fault.begins(station) if fault.begins else began)
            if fault.sign is not None:
                sign = fault.sign
                station.wait(lambda: sign(station))
            assert_no_graver(station, since, fault)
        finally:
            fault.undo(station)
        if fault.reaction in CALM:
            assert station.mode == "running"
        else:
            row.recovery = station.work()
        if fault.within is not None:
            assert row.safe is not None and row.safe <= fault.within + SLACK
        assert station.servos.violations[before:] == []


def assert_no_graver(station: Station, since: int, fault: Fault) -> None:
    """Whether nothing worse than promised has come of it."""
    worst = GRAVITY.index(fault.worst or fault.reaction)
    for event in station.events(since):
        if event["kind"] == "mode" and event["after"] in GRAVITY:
            assert GRAVITY.index(event["after"]) <= worst, str(event)


@pytest.mark.slow
@pytest.mark.parametrize(("one", "other"), list(combinations(LIKELIEST, 2)))
def test_two_faults(station: Station, report: Report, one: str, other: str) -> None:
    first, second = FAULTS[one], FAULTS[other]
    reaction = graver(first, second)
    row = Row((one, other), reaction=reaction)
    with noted(report, row):
        station.work()
        since, before = station.number(), len(station.servos.violations)
        began = time.monotonic()
        first.inject(station)
        second.inject(station)
        injected = time.monotonic() - began
        try:
            if reaction == "goes on":
                time.sleep(max(first.lasts, second.lasts))
            else:
                event = station.until(since, shows(reaction))
                row.safe = event["t"] - began
        finally:
            first.undo(station)
            second.undo(station)
        row.recovery = station.work()
        if row.safe is not None:
            promised = max(fault.within or 0.0 for fault in (first, second))
            assert row.safe <= promised + injected + SLACK
        assert station.servos.violations[before:] == []
