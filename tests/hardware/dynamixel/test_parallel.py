"""A hand on two buses: joint requests to both, and errors of one of them."""

import time
from collections.abc import Iterator

import numpy as np
import pytest

from inhand.hardware.dynamixel import registers
from inhand.hardware.dynamixel.driver import ServoHand
from inhand.hardware.dynamixel.parallel import ParallelHand, by_port
from inhand.hardware.errors import BusError, DescriptionError
from inhand.hardware.model.hand import load_hand
from tests.sim_backend.wires import Wires, wires

HAND = load_hand("dactyl24")
# As they might be wired: every second finger.
PARTS = by_port(HAND, "one", {"other": [1, 2, *range(9, 13), *range(16, 21)]})
PATIENCE = 0.2


@pytest.fixture
def lines() -> Iterator[tuple[Wires, Wires]]:
    first, second = PARTS.values()
    with wires(first) as one, wires(second) as other:
        yield one, other


@pytest.fixture
def hand(lines: tuple[Wires, Wires]) -> Iterator[ParallelHand]:
    parts = [
        ServoHand(part, line.port, 4_000_000, PATIENCE, watchdog=0)
        for part, line in zip(PARTS.values(), lines, strict=True)
    ]
    hand = ParallelHand(HAND, parts)
    hand.connect()
    yield hand
    hand.close()


def test_every_joint_has_its_place_in_the_joined_arrays(
    hand: ParallelHand, lines: tuple[Wires, Wires]
) -> None:
    rng = np.random.default_rng(1)
    angles = rng.uniform(HAND.lower, HAND.upper)
    for line, part in zip(lines, PARTS.values(), strict=True):
        line.position = angles[[HAND.actuator_names.index(name) for name in part.actuator_names]]
    state = hand.read()
    np.testing.assert_allclose(state.position, angles, atol=2e-3)
    voltage = [12.0 if "XM" in a.servo.model else 5.0 for a in HAND.actuators]
    np.testing.assert_allclose(state.voltage, voltage)


def test_both_buses_are_read_at_the_same_time(
    hand: ParallelHand, lines: tuple[Wires, Wires]
) -> None:
    for line in lines:
        line.bus.servos.clear()
    for part in hand._parts:
        assert isinstance(part, ServoHand)
        part.bus.patience = 0.5

    def duration() -> float:
        began = time.monotonic()
        with pytest.raises(BusError, match=f"on {lines[0].port}.*; .*on {lines[1].port}"):
            hand.read()
        return time.monotonic() - began

    # Each is asked twice: one after another, the reads would take at least four timeouts. A busy
    # machine may keep them for longer, but not each time.
    assert any(duration() < 4 * 0.5 for _ in range(10))


def test_a_silent_servo_of_one_bus_is_named(hand: ParallelHand, lines: tuple[Wires, Wires]) -> None:
    hand.read()
    del lines[1].bus.servos[9]
    read = np.isfinite(hand.read().position)
    assert read.sum() == HAND.n_actuators - 1 and not read[8]
    assert f"no answer from servo 9 (RFJ4) on {lines[1].port}" == hand.problem


def test_torque_goes_off_on_the_remaining_bus(
    hand: ParallelHand, lines: tuple[Wires, Wires]
) -> None:
    hand.set_torque(True)
    lines[0].unplug()
    with pytest.raises(BusError, match=f"serial port {lines[0].port}"):
        hand.read()
    with pytest.raises(BusError, match=f"serial port {lines[0].port}"):
        hand.set_torque(False)
    assert not lines[1].bus.torque_on().any()


def test_shut_down_servos_of_both_buses_are_rebooted(
    hand: ParallelHand, lines: tuple[Wires, Wires]
) -> None:
    for line, id in zip(lines, (3, 9), strict=True):
        line.bus.servos[id].set(registers.HARDWARE_ERROR, registers.OVERLOADED)
    with pytest.raises(BusError, match=r"servo 3 \(FFJ4\): overloaded.*servo 9 \(RFJ4\): overl"):
        hand.read()
    assert hand.reboot() == ["3 (FFJ4)", "9 (RFJ4)"]
    assert np.isfinite(hand.read().position).all()


@pytest.mark.parametrize(
    ("others", "wrong"),
    [
        ({"b": [77]}, "port b: hand dactyl24 has no servo 77"),
        ({"b": [3], "c": [3]}, "servo 3 is listed on two ports: b and c"),
        ({"b": []}, "port b: no servo of hand dactyl24 is on it"),
        ({"b": range(1, 21)}, "port a: no servo of hand dactyl24 is on it"),
    ],
)
def test_wrong_assignments_of_servos_to_ports_are_refused(
    others: dict[str, list[int]], wrong: str
) -> None:
    with pytest.raises(DescriptionError, match=wrong):
        by_port(HAND, "a", others)
