"""The registers of Dynamixel X-series servos, and how they count.

Robotis e-manual, control tables of XM430-W350 and XC330-M288: the same addresses in both.
"""

from dataclasses import dataclass
from math import pi

import numpy as np

from hardware.errors import DescriptionError
from hardware.hand import Hand
from hardware.records import Array


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

    def unpack(self, data: bytes | bytearray) -> int:
        """The number from its bytes."""
        return int.from_bytes(data, "little", signed=self.signed)


MODEL_NUMBER = Register(0, 2)
FIRMWARE = Register(6, 1)
ID = Register(7, 1)
RETURN_DELAY = Register(9, 1)
OPERATING_MODE = Register(11, 1)
CURRENT_LIMIT = Register(38, 2)
TORQUE_ENABLE = Register(64, 1)
STATUS_RETURN_LEVEL = Register(68, 1)
HARDWARE_ERROR = Register(70, 1)
BUS_WATCHDOG = Register(98, 1, signed=True)
GOAL_CURRENT = Register(102, 2, signed=True)
GOAL_POSITION = Register(116, 4, signed=True)
PRESENT_CURRENT = Register(126, 2, signed=True)
PRESENT_VELOCITY = Register(128, 4, signed=True)
PRESENT_POSITION = Register(132, 4, signed=True)

FIRST_RAM = TORQUE_ENABLE.address
"""Registers below live in EEPROM, which is locked while torque is on."""

MEASURED = PRESENT_CURRENT.address, PRESENT_POSITION.address + 4 - PRESENT_CURRENT.address
"""Address and length of current, velocity and position, which lie side by side."""

WATCHDOG_UNIT = 0.02
"""Of the bus watchdog [s]; it takes 1 to 127 of them, 0 for none."""
WATCHDOG_TRIPPED = -1
"""In the bus watchdog: the servo was not spoken to in time, and has stopped."""

CURRENT_BASED_POSITION = 5
"""Operating mode: position control with a limit on the current."""

COUNTS = 4096
"""Of a turn; a servo's centre is half of it."""
VELOCITY_UNIT = 0.229 * 2 * pi / 60
"""[rad/s] a count."""

HARDWARE_ERRORS = {
    0: "input voltage out of range",
    2: "overheated",
    3: "encoder failed",
    4: "electrical shock or not enough power",
    5: "overloaded",
}
"""What each bit of the hardware error register means."""


@dataclass(frozen=True, slots=True)
class Model:
    """What differs between servo models.

    Attributes:
        number: in the model number register.
        current_unit: [A] a count.
        current_limit: default of the register of that name, in counts.
        torque_per_ampere: stall torque over stall current [N·m/A].
    """

    number: int
    current_unit: float
    current_limit: int
    torque_per_ampere: float


MODELS = {
    "XM430-W350": Model(1020, 0.00269, 1193, 4.1 / 2.3),
    "XC330-M288": Model(1240, 0.001, 1800, 0.93 / 1.8),
}


def hardware_error(value: int) -> str:
    """The hardware error register in words."""
    names = [name for bit, name in HARDWARE_ERRORS.items() if value >> bit & 1]
    return ", ".join(names) or f"unknown hardware error {value:#04x}"


class Units:
    """Turns a hand's angles, velocities and currents into register counts, and back.

    Attributes:
        models: of the servos, in actuator order.
        torque_per_ampere: [N·m/A], (n_actuators,).

    Raises:
        DescriptionError: the hand has a servo of unknown model.
    """

    def __init__(self, hand: Hand) -> None:
        servos = [actuator.servo for actuator in hand.actuators]
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
        self._zero = np.array([servo.zero for servo in servos])
        self._current = np.array([model.current_unit for model in self.models])
        self._angle_unit = 2 * pi / COUNTS

    def position_counts(self, angles: Array) -> list[int]:
        """Register values of these servo angles [rad], (n_actuators,)."""
        counts = COUNTS / 2 + self._sign * (angles - self._zero) / self._angle_unit
        return [int(count) for count in np.rint(counts)]

    def velocity_counts(self, velocities: Array) -> list[int]:
        """Register values of these velocities [rad/s], (n_actuators,)."""
        return [int(count) for count in np.rint(self._sign * velocities / VELOCITY_UNIT)]

    def current_counts(self, currents: Array) -> list[int]:
        """Register values of these currents [A], (n_actuators,)."""
        return [int(count) for count in np.rint(self._sign * currents / self._current)]

    def current_goals(self) -> list[int]:
        """Register values of the currents that bound each servo's torque, (n_actuators,)."""
        counts = self._torque_limit / self.torque_per_ampere / self._current
        limits = np.array([model.current_limit for model in self.models])
        return [int(count) for count in np.minimum(np.rint(counts), limits)]

    def angles(self, counts: Array) -> Array:
        """Servo angles [rad], (n_actuators,)."""
        angles: Array = self._zero + self._sign * (counts - COUNTS / 2) * self._angle_unit
        return angles

    def velocities(self, counts: Array) -> Array:
        """Servo velocities [rad/s], (n_actuators,)."""
        velocities: Array = self._sign * counts * VELOCITY_UNIT
        return velocities

    def currents(self, counts: Array) -> Array:
        """Motor currents [A], (n_actuators,), positive where they turn the joint positively."""
        currents: Array = self._sign * counts * self._current
        return currents
