"""What tests of the hardware share."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from inhand.hardware.dynamixel.driver import ServoHand
from inhand.hardware.model.hand import load_hand
from tests.sim_backend.wires import Wires, wires

# The machine may be busy with training: how long an example takes says nothing about the code.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")

HAND = load_hand("dactyl24")
BAUD = 4_000_000
PATIENCE = 0.1
"""Servos whose thread gets no processor are waited for longer (`PatientClock`) [s]."""


@pytest.fixture
def line() -> Iterator[Wires]:
    with wires(HAND) as line:
        yield line


@pytest.fixture
def servos(line: Wires) -> Iterator[ServoHand]:
    servos = ServoHand(HAND, line.port, BAUD, PATIENCE, watchdog=2.0)
    servos.connect()
    yield servos
    servos.close()
