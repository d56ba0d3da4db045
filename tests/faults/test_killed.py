"""A daemon that is killed or hangs: its servos stop by themselves, as another process sees it."""

import os
import signal
from pathlib import Path

import pytest

from tests.faults.fault import shows
from tests.faults.station import Station

pytestmark = pytest.mark.alone

WATCHDOG = 0.1
"""What `[bus] watchdog` is when nobody sets it [s]."""
STEP = 0.02
"""Of the servos' watchdogs, and the longest step in which the far end lets time pass [s]."""


def wait_until_stopped(station: Station) -> None:
    station.wait(lambda: station.servos.stopped_after, alive=False)
    assert WATCHDOG < station.servos.stopped_after <= WATCHDOG + 2 * STEP
    station.wait(lambda: station.servos.stands_still, alive=False)
    # They go on holding: without torque they would drop what they hold.
    assert station.servos.torque


def test_servos_stop_when_the_daemon_hangs_and_when_it_is_killed(tmp_path: Path) -> None:
    station = Station(tmp_path)
    try:
        station.load("swing")
        assert station.mode == "running" and not station.servos.stopped_after
        since = station.number()
        os.kill(station.process.pid, signal.SIGSTOP)
        wait_until_stopped(station)
        os.kill(station.process.pid, signal.SIGCONT)
        # Whoever wakes up after that moves nothing, says so, and can be told to go on.
        station.until(since, shows("fault"))
        station.work()
        assert not station.servos.stopped_after
        os.kill(station.process.pid, signal.SIGKILL)
        wait_until_stopped(station)
        assert station.servos.violations == []
    finally:
        station.close()
