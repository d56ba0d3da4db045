"""The registers of Dynamixel X-series servos, and their units.

Robotis e-manual, control tables of the models in `models.py`: all models have the same addresses.
A model without current control has no goal current, and has its present load at the address of
present current.
"""

from dataclasses import dataclass
from math import pi

import numpy as np
from numpy.typing import NDArray

from inhand.hardware.dynamixel.models import BAUD_RATES as BAUD_RATES
from inhand.hardware.dynamixel.models import CURRENT_BASED_POSITION as CURRENT_BASED_POSITION
from inhand.hardware.dynamixel.models import FULL_PWM as FULL_PWM
from inhand.hardware.dynamixel.models import MODELS as MODELS
from inhand.hardware.dynamixel.models import POSITION as POSITION
from inhand.hardware.dynamixel.models import Model as Model
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
MODEL_INFORMATION = Register(2, 4)
FIRMWARE = Register(6, 1)
ID = Register(7, 1)
BAUD_RATE = Register(8, 1)
RETURN_DELAY = Register(9, 1)
DRIVE_MODE = Register(10, 1)
OPERATING_MODE = Register(11, 1)
SECONDARY_ID = Register(12, 1)
PROTOCOL = Register(13, 1)
HOMING_OFFSET = Register(20, 4, signed=True)
MOVING_THRESHOLD = Register(24, 4)
TEMPERATURE_LIMIT = Register(31, 1)
MAX_VOLTAGE = Register(32, 2)
MIN_VOLTAGE = Register(34, 2)
PWM_LIMIT = Register(36, 2)
CURRENT_LIMIT = Register(38, 2)
VELOCITY_LIMIT = Register(44, 4)
MAX_POSITION = Register(48, 4)
MIN_POSITION = Register(52, 4)
STARTUP = Register(60, 1)
PWM_SLOPE = Register(62, 1)
SHUTDOWN = Register(63, 1)
TORQUE_ENABLE = Register(64, 1)
LED = Register(65, 1)
STATUS_RETURN_LEVEL = Register(68, 1)
REGISTERED_INSTRUCTION = Register(69, 1)
HARDWARE_ERROR = Register(70, 1)
VELOCITY_I = Register(76, 2)
VELOCITY_P = Register(78, 2)
POSITION_D = Register(80, 2)
POSITION_I = Register(82, 2)
POSITION_P = Register(84, 2)
FEEDFORWARD_2 = Register(88, 2)
FEEDFORWARD_1 = Register(90, 2)
BUS_WATCHDOG = Register(98, 1, signed=True)
GOAL_PWM = Register(100, 2, signed=True)
GOAL_CURRENT = Register(102, 2, signed=True)
GOAL_VELOCITY = Register(104, 4, signed=True)
PROFILE_ACCELERATION = Register(108, 4)
PROFILE_VELOCITY = Register(112, 4)
GOAL_POSITION = Register(116, 4, signed=True)
REALTIME_TICK = Register(120, 2)
MOVING = Register(122, 1)
MOVING_STATUS = Register(123, 1)
PRESENT_PWM = Register(124, 2, signed=True)
PRESENT_CURRENT = Register(126, 2, signed=True)
PRESENT_VELOCITY = Register(128, 4, signed=True)
PRESENT_POSITION = Register(132, 4, signed=True)
VELOCITY_TRAJECTORY = Register(136, 4, signed=True)
POSITION_TRAJECTORY = Register(140, 4, signed=True)
INPUT_VOLTAGE = Register(144, 2)
TEMPERATURE = Register(146, 1)
BACKUP_READY = Register(147, 1)

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


def torque_register(model: Model) -> Register:
    """Register that limits the torque of a model."""
    return GOAL_CURRENT if model.current_control else GOAL_PWM


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
