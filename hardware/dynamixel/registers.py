"""The registers of Dynamixel X-series servos, and their units.

Robotis e-manual, control tables of the models below: all models have the same addresses. A model
without current control has no goal current, and has its present load at the address of present
current.
"""

from dataclasses import dataclass
from math import pi

import numpy as np
from numpy.typing import NDArray

from inhand.hardware.errors import DescriptionError
from inhand.hardware.model.hand import Hand
from inhand.hardware.records import Array


@dataclass(frozen=True, slots=True)
class Register:
    """A little-endian number in the control table.

    Attributes:
        address: of its first byte.
        size: in bytes.
        signed: whether it is in two's complement.
    """

    address: int
    size: int
    signed: bool = False

    def pack(self, value: int) -> bytes:
        """The number as bytes; an OverflowError if it does not fit."""
        return int(value).to_bytes(self.size, "little", signed=self.signed)

    def unpack(self, data: bytes | bytearray | memoryview) -> int:
        """The number from its bytes."""
        return int.from_bytes(data, "little", signed=self.signed)


MODEL_NUMBER = Register(0, 2)
FIRMWARE = Register(6, 1)
ID = Register(7, 1)
RETURN_DELAY = Register(9, 1)
OPERATING_MODE = Register(11, 1)
BAUD_RATE = Register(8, 1)
TEMPERATURE_LIMIT = Register(31, 1)
CURRENT_LIMIT = Register(38, 2)
SHUTDOWN = Register(63, 1)
TORQUE_ENABLE = Register(64, 1)
STATUS_RETURN_LEVEL = Register(68, 1)
HARDWARE_ERROR = Register(70, 1)
POSITION_D = Register(80, 2)
POSITION_I = Register(82, 2)
POSITION_P = Register(84, 2)
BUS_WATCHDOG = Register(98, 1, signed=True)
GOAL_PWM = Register(100, 2, signed=True)
GOAL_CURRENT = Register(102, 2, signed=True)
GOAL_POSITION = Register(116, 4, signed=True)
PRESENT_CURRENT = Register(126, 2, signed=True)
PRESENT_VELOCITY = Register(128, 4, signed=True)
PRESENT_POSITION = Register(132, 4, signed=True)
INPUT_VOLTAGE = Register(144, 2)
TEMPERATURE = Register(146, 1)

FIRST_RAM = TORQUE_ENABLE.address
"""First address in RAM; lower ones are in EEPROM, which is locked while torque is on."""

MEASURED = PRESENT_CURRENT.address, PRESENT_POSITION.address + 4 - PRESENT_CURRENT.address
"""Address and length of present current, velocity and position, which are adjacent."""
MEASURED_COUNTS = np.dtype([("current", "<i2"), ("velocity", "<i4"), ("position", "<i4")])
"""Layout of these registers."""

CONDITION = INPUT_VOLTAGE.address, INPUT_VOLTAGE.size + TEMPERATURE.size
"""Address and length of input voltage and temperature, which are adjacent."""
VOLTAGE_UNIT = 0.1
"""Unit of the input voltage [V]."""

WATCHDOG_UNIT = 0.02
"""Unit of the bus watchdog [s]; its values are 1 to 127, and 0 for off."""
WATCHDOG_TRIPPED = -1
"""Value of the bus watchdog after it has tripped: no packet came in time, the servo has stopped."""

CURRENT_BASED_POSITION = 5
"""Operating mode: position control with a current limit."""
POSITION = 3
"""Operating mode: position control with a PWM limit."""
FULL_PWM = 885
"""Goal PWM of full supply voltage [counts]."""

BAUD_RATES = {9600: 0, 57600: 1, 115200: 2, 1000000: 3, 2000000: 4, 3000000: 5, 4000000: 6}
"""Value of the baud rate register by bits a second."""

COUNTS = 4096
"""Position counts of one turn; the centre of a servo is at half of them."""
VELOCITY_UNIT = 0.229 * 2 * pi / 60
"""[rad/s] per count."""

HARDWARE_ERRORS = {
    0: "input voltage out of range",
    2: "overheated",
    3: "encoder failed",
    4: "electrical shock or not enough power",
    5: "overloaded",
}
OVERHEATED, OVERLOADED = 1 << 2, 1 << 5
"""What each bit of the hardware error register means."""


@dataclass(frozen=True, slots=True)
class Model:
    """Data of a servo model.

    Attributes:
        number: value of the model number register.
        current_unit: [A] per count; for a model that reports load, the current of this load.
        current_limit: default of the current limit register [counts].
        torque_per_ampere: stall torque over stall current [N·m/A].
        stall_torque: [N·m].
        voltage: lowest and highest input voltage [V].
        hottest: temperature limit, at which the servo shuts down [°C].
        current_control: whether it has current control; otherwise its PWM is limited.
    """

    number: int
    current_unit: float
    current_limit: int
    torque_per_ampere: float
    stall_torque: float
    voltage: tuple[float, float]
    hottest: int
    current_control: bool = True

    @property
    def operating_mode(self) -> int:
        """Operating mode for position control with a torque limit."""
        return CURRENT_BASED_POSITION if self.current_control else POSITION

    @property
    def torque_register(self) -> Register:
        """Register that limits the torque."""
        return GOAL_CURRENT if self.current_control else GOAL_PWM

    def torque_goal(self, torque: float) -> int:
        """Value of the torque register for a torque limit [N·m]."""
        if not self.current_control:
            return min(round(FULL_PWM * torque / self.stall_torque), FULL_PWM)
        return min(round(torque / self.torque_per_ampere / self.current_unit), self.current_limit)


MODELS = {
    # Stall torque and current at 12 V, or at 5 V for the M models of the 330 series; voltages and
    # temperatures are the factory settings of the limits.
    "XM430-W350": Model(1020, 0.00269, 1193, 4.1 / 2.3, 4.1, (9.5, 16.0), 80),
    "XM430-W210": Model(1030, 0.00269, 1193, 3.0 / 2.3, 3.0, (9.5, 16.0), 80),
    "XC330-M288": Model(1240, 0.001, 2352, 0.93 / 1.8, 0.93, (3.5, 7.0), 70),
    "XL330-M288": Model(1200, 0.001, 1750, 0.52 / 1.47, 0.52, (3.5, 7.0), 70),
    "XL330-M077": Model(1190, 0.001, 1750, 0.215 / 1.47, 0.215, (3.5, 7.0), 70),
    # Its load register is in thousandths of the largest load.
    "XL430-W250": Model(1060, 0.0014, 1000, 1.5 / 1.4, 1.5, (6.0, 14.0), 72, current_control=False),
}


def hardware_error(value: int) -> str:
    """The hardware error register in words."""
    names = [name for bit, name in HARDWARE_ERRORS.items() if value >> bit & 1]
    return ", ".join(names) or f"unknown hardware error {value:#04x}"


class Units:
    """Converts a hand's angles, velocities and currents to register counts, and back.

    Attributes:
        models: of the servos, in actuator order.
        torque_per_ampere: [N·m/A], (n_actuators,).

    Raises:
        DescriptionError: the hand has a servo of unknown model.
    """

    def __init__(self, hand: Hand) -> None:
        servos = [actuator.on_bus for actuator in hand.actuators]
        for servo in servos:
            if servo.model not in MODELS:
                raise DescriptionError(
                    f"hand {hand.name}: servo {servo.id} is of unknown model {servo.model!r}; "
                    f"known: {', '.join(MODELS)}"
                )
        self.models = tuple(MODELS[servo.model] for servo in servos)
        self.torque_per_ampere = np.array([model.torque_per_ampere for model in self.models])
        self._torque_limit = np.array([actuator.torque_limit for actuator in hand.actuators])
        self._sign = np.array([float(servo.sign) for servo in servos])
        self._velocity = self._sign * VELOCITY_UNIT
        self._zero = np.array([servo.zero for servo in servos])
        self._current = self._sign * np.array([model.current_unit for model in self.models])
        self._angle = self._sign * (2 * pi / COUNTS)
        self._measured = np.array([self._angle, self._velocity, self._current])

    def position_counts(self, angles: Array) -> NDArray[np.int64]:
        """Register values of these servo angles [rad], (n_actuators,)."""
        return _whole(COUNTS / 2 + (angles - self._zero) / self._angle)

    def velocity_counts(self, velocities: Array) -> NDArray[np.int64]:
        """Register values of these velocities [rad/s], (n_actuators,)."""
        return _whole(velocities / self._velocity)

    def current_counts(self, currents: Array) -> NDArray[np.int64]:
        """Register values of these currents [A], (n_actuators,)."""
        return _whole(currents / self._current)

    def torque_goals(self, share: float = 1.0) -> list[int]:
        """Register values that limit each torque to a share of its limit, (n_actuators,)."""
        limits = (share * self._torque_limit).tolist()
        return [model.torque_goal(x) for model, x in zip(self.models, limits, strict=True)]

    def angles(self, counts: Array | NDArray[np.int64]) -> Array:
        """Servo angles [rad], (n_actuators,)."""
        angles: Array = (counts - COUNTS / 2) * self._angle + self._zero
        return angles

    def angle_of(self, counts: NDArray[np.int64]) -> Array:
        """The rotation of `counts` position counts, without the zero [rad], (n_actuators,)."""
        turn: Array = counts * self._angle
        return turn

    def measured(self, counts: NDArray[np.void]) -> Array:
        """Angles [rad], velocities [rad/s] and motor currents [A], (3, n_actuators).

        Args:
            counts: of type `MEASURED_COUNTS`, (n_actuators,).
        """
        rows = np.empty_like(self._measured)
        rows[0] = counts["position"]
        rows[0] -= COUNTS / 2
        rows[1], rows[2] = counts["velocity"], counts["current"]
        rows *= self._measured
        rows[0] += self._zero
        return rows

    def currents(self, counts: Array) -> Array:
        """Motor currents [A], (n_actuators,), positive for a torque in the joint's direction."""
        currents: Array = counts * self._current
        return currents


def _whole(counts: Array) -> NDArray[np.int64]:
    whole: NDArray[np.int64] = np.rint(counts).astype(np.int64)
    return whole
