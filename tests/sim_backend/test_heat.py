"""Heat of emulated servos: temperature register, shutdown by heat or overload, and reboot."""

import numpy as np
import pytest

from inhand.hardware.dynamixel import registers
from inhand.hardware.dynamixel.driver import ServoHand
from inhand.hardware.errors import BusError
from inhand.hardware.model.hand import load_hand
from inhand.hardware.records import Array
from inhand.sim_backend.emulator import ServoBus
from inhand.sim_backend.heat import AIR, RISE
from tests.sim_backend.wires import wires

HAND = load_hand("dactyl24")
N = HAND.n_actuators
ONE = np.eye(N)[6]


class Working:
    """Servos on a bench that draw what a test says, as a share of their current limits."""

    def __init__(self) -> None:
        self.bus = ServoBus(HAND, self._measure)
        self.share: Array = np.zeros(N)
        for servo in self.bus.servos.values():
            servo.set(registers.TORQUE_ENABLE, 1)

    def _measure(self) -> tuple[Array, Array, Array]:
        models = self.bus._units.models
        limits = np.array([model.current_limit * model.current_unit for model in models])
        return HAND.rest, np.zeros(N), np.where(self.bus.torque_on(), self.share * limits, 0.0)

    def work(self, share: Array, seconds: int) -> None:
        self.share = share
        for _ in range(seconds):
            self.bus._refresh()
            self.bus.warm(1.0)

    def temperatures(self) -> list[int]:
        return [servo.get(registers.TEMPERATURE) for servo in self.bus.servos.values()]


def test_current_heats_with_its_square_and_air_cools() -> None:
    bench = Working()
    bench.work(np.where(ONE, -0.7, 0.3), 3000)
    assert bench.bus.heat.temperature[6] == pytest.approx(AIR + 0.49 * RISE, abs=0.2)
    assert bench.bus.heat.temperature[5] == pytest.approx(AIR + 0.09 * RISE, abs=0.2)
    bench.work(np.zeros(N), 3000)
    assert set(bench.temperatures()) == {round(AIR)}


@pytest.mark.parametrize(
    ("share", "seconds", "error"),
    [(0.9, 300, registers.OVERHEATED), (1.0, 3, registers.OVERLOADED)],
)
def test_a_shut_down_servo_has_no_torque_until_it_is_rebooted(
    share: float, seconds: int, error: int
) -> None:
    bench = Working()
    servo, torque = bench.bus.servos[7], registers.TORQUE_ENABLE
    bench.work(np.where(ONE, share, 0.1), seconds)
    assert servo.get(registers.HARDWARE_ERROR) == error
    assert bench.bus.torque_on().tolist() == [id != 7 for id in range(1, N + 1)]
    assert servo.write(torque.address, b"\1") is not None
    bench.work(np.where(ONE, share, 0.1), 60)
    assert servo.get(registers.HARDWARE_ERROR) == error
    servo.reboot()
    assert servo.write(torque.address, b"\1") is None


def test_a_servo_without_shutdown_only_reports_its_error() -> None:
    bench = Working()
    bench.bus.servos[7].set(registers.SHUTDOWN, 0)
    bench.work(np.where(ONE, 1.0, 0.1), 3)
    assert bench.bus.servos[7].alert and bench.bus.torque_on().all()


def test_temperatures_are_read_over_the_line_and_overheating_is_named() -> None:
    with wires(HAND) as line:
        servos = ServoHand(HAND, line.port, 4_000_000, patience=0.1, watchdog=0)
        servos.connect()
        servos.set_torque(True)
        with line.lock:
            line.bus.heat.temperature[6] = 66.0
            line.bus.warm(0.0)
        for _ in range(1000):
            state = servos.read()
            assert state.temperature is not None
            if state.temperature[6] == 66.0:
                break
        assert state.temperature.tolist() == [30.0] * 6 + [66.0] + [30.0] * 13
        with line.lock:
            line.bus.heat.temperature[6] = 71.0
            line.bus.warm(0.0)
        with pytest.raises(BusError, match=r"servo 7 \(MFJ3\): overheated"):
            servos.read()
        servos.close()
