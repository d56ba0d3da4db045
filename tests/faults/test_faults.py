"""Each fault, and each pair of the likeliest: what the daemon does, by when, how it recovers."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path

import pytest

from tests.faults.catalogue import FAULTS, LIKELIEST
from tests.faults.fault import GRAVITY, Fault, graver, shows
from tests.faults.report import Report, Row
from tests.faults.station import Station, children

pytestmark = pytest.mark.alone

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
    if name == "disk full" and not station.small_disk:
        pytest.skip("this user may not mount a small disk to fill")
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
                event = station.until(since, shows(fault.reaction, *fault.causes))
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
            # A hand that falls back at once has not recovered.
            row.recovery = station.work(steady=0.5)
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
        row.recovery = station.work(steady=0.5)
        if row.safe is not None:
            promised = max(fault.within or 0.0 for fault in (first, second))
            assert row.safe <= promised + injected + SLACK
        assert station.servos.violations[before:] == []


@pytest.mark.slow
def test_the_clock_on_the_wall_is_stepped(
    report: Report, tmp_path_factory: pytest.TempPathFactory
) -> None:
    if shutil.which("cc") is None:
        pytest.skip("no C compiler; install Debian's package gcc")
    where = tmp_path_factory.mktemp("clock")
    library, source = where / "wall_clock.so", Path(__file__).with_name("wall_clock.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library, source], check=True)
    row = Row(("clock on the wall stepped by 1 h, both ways",), "libc", "goes on")
    station = Station(where, clock=library)
    try:
        with noted(report, row):
            station.work()
            since = station.number()
            said = len(station.log.read_text())
            for offset in (3600, -3600, 0):
                station.set_clock(offset)
                time.sleep(1.0)
                # Something that is logged, with the time that it is.
                station.cameras.gone = frozenset({"left"})
                station.until(since, lambda event: event["kind"] == "camera")
                station.cameras.restore()
                since = station.number()
                assert station.mode == "running" and not station.hand.status()["paused"]
            hours = {line[11:13] for line in station.log.read_text()[said:].splitlines()}
            assert len(hours) >= 3, "the clock was stepped for the daemon indeed"
    finally:
        station.close()


@pytest.mark.slow
def test_the_simulated_world_dies(report: Report, tmp_path: Path) -> None:
    row = Row(("simulated world killed",), "process", "ends", 5.0)
    with noted(report, row):
        log = tmp_path / "log"
        command = [*Station.daemon_command(tmp_path / "run"), "--sim", "--real-time"]
        with log.open("wb") as file:
            process = subprocess.Popen(command, stdout=file, stderr=file)
        try:
            deadline = time.monotonic() + 90
            while "inhandd ready" not in log.read_text():
                assert process.poll() is None and time.monotonic() < deadline, log.read_text()
                time.sleep(0.05)
            world = next(
                child
                for child in children(process.pid)
                if "sim_backend" in Path(f"/proc/{child}/cmdline").read_text()
            )
            began = time.monotonic()
            os.kill(world, signal.SIGKILL)
            assert process.wait(120) == 1
            row.safe = time.monotonic() - began
            assert row.safe <= 5.0
            assert "the simulation ended with code -9" in log.read_text()
        finally:
            process.kill()
            process.wait()
