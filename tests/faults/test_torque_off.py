"""A daemon and a servo with a hardware error: the others hold, and lose torque at stop and exit."""

import signal
from pathlib import Path

import pytest

from tests.faults.fault import shows
from tests.faults.station import Station

pytestmark = pytest.mark.alone


def test_an_emergency_stop_switches_off_the_servos_without_errors_too(tmp_path: Path) -> None:
    station = Station(tmp_path)
    try:
        station.work()
        since = station.number()
        station.servos.shut_down(5, 5)
        station.until(since, shows("fault"))
        assert station.servos.torque, "the others hold in a fault"
        before = station.servos.goals
        station.wait(lambda: station.servos.goals > before + 5)
        station.hand.call("estop")
        station.wait(lambda: not station.servos.torque)
        # The first request restarts the servo, waits for it, and clears.
        cleared = station.hand.call("clear")
        assert cleared["mode"] == "off" and "servo 5 (FFJ2): overloaded" in cleared["restarted"]
        station.work()
        # Torque is off at the end of the daemon too, with another one ill.
        station.servos.shut_down(9, 2)
        station.process.send_signal(signal.SIGTERM)
        station.wait(lambda: station.process.poll() is not None, alive=False)
        assert not station.servos.torque
        assert station.servos.violations == []
    finally:
        station.close()
