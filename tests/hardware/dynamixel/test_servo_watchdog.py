"""The bus watchdog stops servos when their owner, a real process, is killed or stopped."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np
import pytest

from inhand.hardware.dynamixel import registers
from inhand.hardware.dynamixel.driver import ServoHand
from inhand.hardware.errors import BusError
from inhand.hardware.model.hand import load_hand
from inhand.hardware.records import Targets, frozen_array
from tests.sim_backend.wires import Wires, wires

HAND = load_hand("dactyl24")
WATCHDOG = 0.4
"""Above the default: tests share the machine with others [s]."""
LONGEST = 2.4
"""For an owner in a process of its own, which a busy machine may halt [s]."""

OWNER = """
import sys, time, numpy as np
from inhand.hardware.dynamixel.driver import ServoHand
from inhand.hardware.model.hand import load_hand
from inhand.hardware.records import Targets, frozen_array
hand = load_hand("dactyl24")
servos = ServoHand(hand, sys.argv[1], 4_000_000, 10.0, watchdog=float(sys.argv[2]))
servos.connect()
servos.set_torque(True)
print("up", flush=True)
while True:
    t = time.monotonic()
    servos.read()
    servos.write(Targets(t, frozen_array(hand.rest + 0.1 * np.sin(20 * t))))
    time.sleep(0.01)
"""


@pytest.fixture
def line() -> Iterator[Wires]:
    with wires(HAND) as line:
        yield line


def stopped(line: Wires) -> list[bool]:
    return [servo.stopped for servo in line.bus.servos.values()]


def wait_until_stopped(line: Wires) -> None:
    deadline = time.monotonic() + 120
    while not all(stopped(line)):
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGSTOP])
def test_servos_stop_when_their_owner_dies_or_hangs(line: Wires, blow: signal.Signals) -> None:
    command = [sys.executable, "-c", OWNER, line.port, str(LONGEST)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"up\n"
        time.sleep(0.5)
        assert not any(stopped(line))
        os.kill(owner.pid, blow)
        wait_until_stopped(line)
        assert LONGEST < line.bus.stopped_after < LONGEST + 0.07
        held = line.position.copy()
        time.sleep(0.2)
        np.testing.assert_array_equal(line.bus.targets(), line.position)
        np.testing.assert_array_equal(line.position, held)
        assert line.bus.torque_on().all()
        owner.kill()
    # The next owner detects it, moves nothing, and clears the watchdogs.
    servos = ServoHand(HAND, line.port, 4_000_000, 0.1, watchdog=2.0)
    servos.connect()
    np.testing.assert_allclose(servos.read().position, held, atol=2e-3)
    servos.set_torque(True)
    np.testing.assert_allclose(servos.read().position, held, atol=2e-3)
    sent = servos.write(Targets(0.0, frozen_array(HAND.rest)))
    servos.read()
    np.testing.assert_allclose(line.bus.targets(), sent.position, atol=1e-9)
    servos.close()


def test_an_owner_that_hung_gets_an_error_and_moves_nothing(line: Wires) -> None:
    servos = ServoHand(HAND, line.port, 4_000_000, 0.1, watchdog=WATCHDOG)
    servos.connect()
    servos.set_torque(True)
    wait_until_stopped(line)
    far = Targets(0.0, frozen_array(HAND.rest + 0.2))
    held = line.bus.targets()
    for _ in range(2):
        with pytest.raises(BusError, match="the servos have stopped: their bus watchdog"):
            servos.write(far)
        with pytest.raises(BusError, match="switch torque off and on"):
            servos.read()
    np.testing.assert_array_equal(line.bus.targets(), held)
    servos.set_torque(True)
    sent = servos.write(far)
    servos.read()
    np.testing.assert_allclose(line.bus.targets(), sent.position, atol=1e-9)
    servos.close()


def test_without_torque_there_is_nothing_to_stop(line: Wires) -> None:
    servos = ServoHand(HAND, line.port, 4_000_000, 0.1, watchdog=WATCHDOG)
    servos.connect()
    servos.set_torque(True)
    servos.set_torque(False)
    time.sleep(2 * WATCHDOG)
    assert not any(stopped(line))
    servos.read()
    servos.close()


def test_the_watchdog_counts_steps_of_20_ms(line: Wires) -> None:
    servos = ServoHand(HAND, line.port, 4_000_000, 0.1, watchdog=0.1)
    servos.connect()
    servos.set_torque(True)
    # It may have tripped since, but it was armed with five steps or `set_torque` had failed.
    assert line.bus.servos[1].get(registers.BUS_WATCHDOG) in (5, registers.WATCHDOG_TRIPPED)
    servos.close()
