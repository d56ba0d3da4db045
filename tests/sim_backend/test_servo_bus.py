"""What registers of the emulated servos do to the joints of a hand, and the other way round."""

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from inhand.hardware.dynamixel import registers
from inhand.hardware.dynamixel.protocol import Fault
from inhand.hardware.dynamixel.registers import COUNTS, Register
from inhand.hardware.model.hand import Hand, load_hand
from inhand.hardware.records import Array
from inhand.sim_backend.emulator import ServoBus
from tests.sim_backend.wires import SIXTEEN

HAND = load_hand(SIXTEEN)
COUNT = 2 * np.pi / COUNTS


class Bench:
    """Servos that follow their setpoints at once while torque is on."""

    def __init__(self, hand: Hand = HAND) -> None:
        self.position: Array = np.array(hand.rest)
        self.bus = ServoBus(hand, self._measure)
        self.servo = self.bus.servos[3]
        self.bus._refresh()

    def _measure(self) -> tuple[Array, Array, Array]:
        self.position = np.where(self.bus.torque_on(), self.bus.targets(), self.position)
        return self.position, np.zeros_like(self.position), np.zeros_like(self.position)

    def put(self, register: Register, value: int) -> Fault | None:
        return self.bus._write(self.servo, register.address, register.pack(value))

    def present(self) -> int:
        self.bus._refresh()
        return self.servo.get(registers.PRESENT_POSITION)


def of_model(name: str) -> Hand:
    """The hand with servos of another model."""
    actuators = tuple(
        msgspec.structs.replace(a, servo=msgspec.structs.replace(a.servo, model=name))
        for a in HAND.actuators
    )
    return replace(HAND, actuators=actuators)


def test_a_homing_offset_shifts_what_is_read_and_what_is_commanded() -> None:
    bench = Bench()
    before, angle = bench.present(), bench.position[2]
    assert bench.put(registers.HOMING_OFFSET, 500) is None
    assert bench.present() == before + 500
    assert bench.put(registers.TORQUE_ENABLE, 1) is None
    assert bench.put(registers.GOAL_POSITION, before + 500 + 100) is None
    assert bench.present() == before + 600
    assert abs(bench.position[2] - angle) == pytest.approx(100 * COUNT, abs=COUNT)
    assert not bench.bus.outside


def test_a_large_homing_offset_counts_in_the_other_modes_only() -> None:
    bench = Bench()
    before = bench.present()
    assert bench.put(registers.HOMING_OFFSET, 2000) is None
    assert bench.present() == before
    assert bench.put(registers.OPERATING_MODE, 5) is None
    assert bench.present() == before + 2000


def test_a_reversed_drive_mode_mirrors_positions() -> None:
    bench = Bench()
    before, angle = bench.present(), bench.position[2]
    assert bench.put(registers.DRIVE_MODE, 1) is None
    mirrored = bench.present()
    assert mirrored == COUNTS - before
    assert bench.put(registers.TORQUE_ENABLE, 1) is None
    assert bench.put(registers.GOAL_POSITION, mirrored - 100) is None
    bench.present()
    sign = HAND.actuators[2].servo.sign
    assert bench.position[2] - angle == pytest.approx(sign * 100 * COUNT, abs=COUNT)


def test_a_motion_profile_moves_the_joint_slowly() -> None:
    bench = Bench()
    start = bench.present()
    assert bench.put(registers.PROFILE_VELOCITY, 100) is None
    assert bench.put(registers.TORQUE_ENABLE, 1) is None
    assert bench.put(registers.GOAL_POSITION, start + 400) is None
    speed = COUNTS * 22.9 / 60
    assert bench.bus.move(0.1)
    assert bench.present() - start == pytest.approx(0.1 * speed, abs=2)
    assert bench.servo.get(registers.MOVING) == 1
    assert bench.servo.get(registers.MOVING_STATUS) & 0b11 == 0b10
    assert bench.servo.get(registers.VELOCITY_TRAJECTORY) == 100
    assert bench.servo.get(registers.POSITION_TRAJECTORY) == bench.present()
    while bench.bus.move(0.1):
        pass
    assert bench.present() == start + 400
    assert bench.servo.get(registers.MOVING) == 0
    assert bench.servo.get(registers.MOVING_STATUS) & 0b11 == 0b01


@pytest.mark.parametrize(("name", "shuts_down"), [("XL330-M288", True), ("XC330-M288", False)])
def test_a_wrong_voltage(name: str, shuts_down: bool) -> None:
    bench = Bench(of_model(name))
    assert bench.put(registers.TORQUE_ENABLE, 1) is None
    assert not bench.bus.warm(0.01)
    bench.servo.set(registers.INPUT_VOLTAGE, 34)
    assert bench.bus.warm(0.01)
    assert bench.servo.get(registers.HARDWARE_ERROR) == 1
    assert bench.servo.get(registers.TORQUE_ENABLE) == int(not shuts_down)
    # The other servos have their voltage.
    assert sum(servo.alert > 0 for servo in bench.bus.in_order) == 1


def test_the_realtime_tick_counts_milliseconds() -> None:
    bench = Bench()
    bench.present()
    start = bench.servo.get(registers.REALTIME_TICK)
    bench.bus.move(1.5)
    bench.present()
    assert bench.servo.get(registers.REALTIME_TICK) == start + 1500
    bench.bus.move(32.0)
    bench.present()
    assert bench.servo.get(registers.REALTIME_TICK) == start + 33_500 - 32_768


def test_two_axes_from_the_factory_have_the_ids_1_and_2(tmp_path: Path) -> None:
    path = tmp_path / "hand.toml"
    path.write_text(SIXTEEN.read_text().replace("XC330-M288", "2XL430-W250"))
    hand = load_hand(path)
    rest = hand.rest
    bus = ServoBus(hand, lambda: (rest, rest * 0, rest * 0), factory=True)
    assert [servo.get(registers.ID) for servo in bus.in_order] == 8 * [1, 2]
    first, second = bus.in_order[:2]
    assert first.factory_reset(b"\xff") is None
    assert first.write(registers.BAUD_RATE.address, b"\x03") is None
    assert [servo.baud for servo in bus.in_order[:3]] == [1_000_000, 1_000_000, 57_600]
    assert second.factory_reset(b"\xff") is None and first.baud == 57_600
    assert second.get(registers.ID) == 2
    assert second.back_up() is not None


def test_servos_from_the_factory_have_one_id() -> None:
    bus = ServoBus(HAND, lambda: (HAND.rest, HAND.rest * 0, HAND.rest * 0), factory=True)
    assert len(bus.members.addressed(1)) == HAND.n_actuators
    # Unplugged but one, which gets its id; then the next one.
    for id, servo in enumerate(bus.in_order, start=1):
        for other in bus.in_order:
            bus.members.remove(other)
        bus.members.add(servo)
        assert bus.members.addressed(1) == (servo,)
        servo.write(registers.ID.address, bytes((id,)))
        bus.members.moved(servo, 1)
        assert bus.members.addressed(id) == (servo,)
