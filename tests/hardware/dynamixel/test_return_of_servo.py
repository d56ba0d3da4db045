"""A servo that restarts while the hand has torque: named, verified, and brought back."""

import re
import time

import numpy as np
import pytest

from inhand.hardware.dynamixel import registers as r
from inhand.hardware.dynamixel.commanding import RETURN_SPEED
from inhand.hardware.dynamixel.driver import ServoHand
from inhand.hardware.dynamixel.return_of_servo import LARGEST_COUNT
from inhand.hardware.errors import BusError, ServoError
from inhand.hardware.records import Targets, frozen_array
from tests.hardware import conftest
from tests.sim_backend.wires import Wires

HAND, BAUD, PATIENCE = conftest.HAND, conftest.BAUD, conftest.PATIENCE
RESTARTED = "servo 7 (MFJ3) has restarted and lost its torque"


def running(line: Wires, watchdog: float) -> ServoHand:
    servos = ServoHand(HAND, line.port, BAUD, PATIENCE, watchdog=watchdog)
    servos.connect()
    servos.set_torque(True)
    servos.read()
    return servos


def read_until(servos: ServoHand, pattern: str) -> ServoError:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            servos.read()
        except ServoError as error:
            if re.search(pattern, str(error)):
                return error
        except BusError:
            # On a busy machine the line may answer too late once.
            continue
    pytest.fail(f"nothing said {pattern}")


@pytest.mark.parametrize("watchdog", [0.0, 2.0])
def test_it_is_named_verified_and_has_torque_again(line: Wires, watchdog: float) -> None:
    servos = running(line, watchdog)
    line.bus.servos[7].reboot()
    error = read_until(servos, "restarted")
    assert RESTARTED in str(error)
    assert error.joints is not None and np.isfinite(error.joints.position).all()
    assert "it was verified and has torque again" in str(error)
    assert line.bus.torque_on().all()
    servo = line.bus.servos[7]
    assert servo.get(r.GOAL_CURRENT) == 1355 and servo.get(r.PROFILE_VELOCITY) == 0
    assert servo.get(r.BUS_WATCHDOG) == round(watchdog / 0.02)
    servos.read()
    servos.close()


@pytest.mark.parametrize("watchdog", [0.0, 2.0])
def test_the_others_are_commanded_meanwhile(line: Wires, watchdog: float) -> None:
    servos = running(line, watchdog)
    with line.lock:
        line.faults.inject("rebooting", 7, time.monotonic())
    sent = servos.write(Targets(0.0, frozen_array(HAND.rest + 0.05)))
    others = np.arange(20) != 6
    np.testing.assert_allclose(servos.read().position[others], sent.position[others], atol=2e-3)
    read_until(servos, "has torque again")
    assert line.bus.torque_on().all()
    servos.close()


def test_it_returns_slowly_to_its_target(line: Wires) -> None:
    servos = running(line, 0.0)
    held = np.minimum(HAND.rest + 0.3, HAND.upper)
    held = servos.write(Targets(0.0, frozen_array(held))).position
    servos.read()
    line.bus.servos[7].reboot()
    line.position = line.position - 0.3 * (np.arange(20) == 6)
    read_until(servos, "has torque again")
    assert line.position[6] == pytest.approx(held[6] - 0.3, abs=3e-3)
    t, last = 0.0, line.position[6]
    for _ in range(150):
        t += 0.01
        sent = servos.write(Targets(t, held)).position
        assert abs(sent[6] - last) <= RETURN_SPEED * 0.01 + 2e-3
        last = sent[6]
        np.testing.assert_allclose(np.delete(sent, 6), np.delete(held, 6), atol=2e-3)
    assert last == pytest.approx(held[6], abs=2e-3)
    servos.close()


def test_it_stays_limp_if_a_setting_cannot_be_verified(line: Wires) -> None:
    servos = running(line, 2.0)
    servo = line.bus.servos[7]
    servo.reboot()
    servo.set(r.HOMING_OFFSET, 100)
    error = read_until(servos, "homing offset")
    assert "remedy: `inhand restore`" in str(error)
    assert line.bus.torque_on().sum() == 19
    # Torque off and on finds the same.
    with pytest.raises(BusError, match="homing offset"):
        servos.set_torque(True)
    assert not line.bus.torque_on().any()
    servos.close()


def test_it_is_not_brought_back_without_end(line: Wires) -> None:
    servos = running(line, 0.0)
    for _ in range(LARGEST_COUNT):
        line.bus.servos[7].reboot()
        read_until(servos, "has torque again")
    line.bus.servos[7].reboot()
    read_until(servos, "restarted")
    servos._return._not_before = 0.0
    assert "its voltage dropped" in str(read_until(servos, "restarted"))
    assert line.bus.torque_on().sum() == 19
    servos.set_torque(True)
    assert line.bus.torque_on().all()
    servos.close()
