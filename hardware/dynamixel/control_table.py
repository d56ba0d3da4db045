"""The whole control table of each servo model: address, size, access, factory setting and range.

Source: Robotis e-manual, "Control Table" of each model.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from inhand.hardware.dynamixel import registers as r
from inhand.hardware.dynamixel.models import FULL_PWM, Model
from inhand.hardware.dynamixel.registers import COUNTS, Register

LARGEST_OFFSET = 1_044_479
"""Largest homing offset in either direction [counts]."""
LARGEST_POSITION = 1_048_575
"""Largest goal position in either direction where whole turns are counted [counts]."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of a control table.

    Attributes:
        name: in the words of the manual, lower case.
        register: its address and size.
        default: factory setting; None if there is none (measured values, id).
        low: smallest value that may be written.
        high: largest value that may be written; None if it cannot be written.
        bound: the register in EEPROM whose value bounds this one: ± that value; None if there is
            none. `low` and `high` are then those of the factory setting.
    """

    name: str
    register: Register
    default: int | None
    low: int = 0
    high: int | None = None
    bound: Register | None = None

    @property
    def writable(self) -> bool:
        """Whether it can be written at all."""
        return self.high is not None

    @property
    def in_eeprom(self) -> bool:
        """Whether it keeps its value without power; it is locked while torque is on."""
        return self.register.address < r.FIRST_RAM


@cache
def control_table(model: Model) -> Mapping[int, Entry]:
    """All registers of a model, by address, in the order of addresses."""
    rows = [*_eeprom(model), *_ram(model), *_measured(model), *_indirect(model)]
    return MappingProxyType({row.register.address: row for row in rows})


@cache
def table_size(model: Model) -> int:
    """Number of bytes of a model's control table."""
    last = list(control_table(model).values())[-1].register
    return last.address + last.size


def _eeprom(model: Model) -> Iterator[Entry]:
    series = model.series
    volts = [round(x / r.VOLTAGE_UNIT) for x in series.voltage]
    lowest_volts = 31 if volts[0] == 35 else volts[0]
    yield Entry("model number", r.MODEL_NUMBER, model.number)
    yield Entry("model information", r.MODEL_INFORMATION, None)
    yield Entry("firmware version", r.FIRMWARE, None)
    yield Entry("id", r.ID, 1, 0, 252)
    yield Entry("baud rate", r.BAUD_RATE, model.bauds[57600], 0, max(model.bauds.values()))
    yield Entry("return delay time", r.RETURN_DELAY, 250, 0, 254)
    yield Entry("drive mode", r.DRIVE_MODE, 0, 0, 15 if series.dual else 13)
    yield Entry("operating mode", r.OPERATING_MODE, 3, 0, 16)
    # 253 to 255: no secondary id.
    yield Entry("secondary id", r.SECONDARY_ID, 255, 0, 255)
    low, high = (2, 22) if series.small else (1, 2)
    yield Entry("protocol type", r.PROTOCOL, 2, low, high)
    yield Entry("homing offset", r.HOMING_OFFSET, 0, -LARGEST_OFFSET, LARGEST_OFFSET)
    yield Entry("moving threshold", r.MOVING_THRESHOLD, model.moving_threshold, 0, 1023)
    yield Entry("temperature limit", r.TEMPERATURE_LIMIT, model.hottest, 0, 100)
    yield Entry("max voltage limit", r.MAX_VOLTAGE, volts[1], lowest_volts, volts[1])
    yield Entry("min voltage limit", r.MIN_VOLTAGE, volts[0], lowest_volts, volts[1])
    yield Entry("PWM limit", r.PWM_LIMIT, FULL_PWM, 0, FULL_PWM)
    if model.current_control:
        yield Entry("current limit", r.CURRENT_LIMIT, model.current_limit, 0, model.current_limit)
    fastest = 2047 if series.small else 1023
    yield Entry("velocity limit", r.VELOCITY_LIMIT, model.velocity_limit, 0, fastest)
    yield Entry("max position limit", r.MAX_POSITION, COUNTS - 1, 0, COUNTS - 1)
    yield Entry("min position limit", r.MIN_POSITION, 0, 0, COUNTS - 1)
    for port in range(series.external_ports):
        yield Entry(f"external port mode {port + 1}", Register(56 + port, 1), 3, 0, 3)
    if not series.two_axes:
        yield Entry("startup configuration", r.STARTUP, 0, 0, 3)
    if series.small:
        slope = 255 if series.supply > 5.0 else 140
        yield Entry("PWM slope", r.PWM_SLOPE, slope, 1, 255)
    yield Entry("shutdown", r.SHUTDOWN, model.shutdown, 0, 63)


def _ram(model: Model) -> Iterator[Entry]:
    largest_gain = 16_383
    p, i, d = model.gains
    velocity_p, velocity_i = model.velocity_gains
    yield Entry("torque enable", r.TORQUE_ENABLE, 0, 0, 1)
    if model.series.led:
        yield Entry("LED", r.LED, 0, 0, 1)
    yield Entry("status return level", r.STATUS_RETURN_LEVEL, 2, 0, 2)
    yield Entry("registered instruction", r.REGISTERED_INSTRUCTION, 0)
    yield Entry("hardware error status", r.HARDWARE_ERROR, 0)
    yield Entry("velocity I gain", r.VELOCITY_I, velocity_i, 0, largest_gain)
    yield Entry("velocity P gain", r.VELOCITY_P, velocity_p, 0, largest_gain)
    yield Entry("position D gain", r.POSITION_D, d, 0, largest_gain)
    yield Entry("position I gain", r.POSITION_I, i, 0, largest_gain)
    yield Entry("position P gain", r.POSITION_P, p, 0, largest_gain)
    yield Entry("feedforward 2nd gain", r.FEEDFORWARD_2, 0, 0, largest_gain)
    yield Entry("feedforward 1st gain", r.FEEDFORWARD_1, 0, 0, largest_gain)
    # 0 switches it off.
    yield Entry("bus watchdog", r.BUS_WATCHDOG, 0, 0, 127)
    yield Entry("goal PWM", r.GOAL_PWM, FULL_PWM, -FULL_PWM, FULL_PWM, r.PWM_LIMIT)
    if (most := model.current_limit) and model.current_control:
        yield Entry("goal current", r.GOAL_CURRENT, most, -most, most, r.CURRENT_LIMIT)
    most = model.velocity_limit
    yield Entry("goal velocity", r.GOAL_VELOCITY, most, -most, most, r.VELOCITY_LIMIT)
    yield Entry("profile acceleration", r.PROFILE_ACCELERATION, 0, 0, 32_767)
    yield Entry("profile velocity", r.PROFILE_VELOCITY, 0, 0, 32_767)
    # In position mode (3) between the position limits instead.
    yield Entry("goal position", r.GOAL_POSITION, None, -LARGEST_POSITION, LARGEST_POSITION)


def _measured(model: Model) -> Iterator[Entry]:
    yield Entry("realtime tick", r.REALTIME_TICK, None)
    yield Entry("moving", r.MOVING, 0)
    yield Entry("moving status", r.MOVING_STATUS, 0)
    yield Entry("present PWM", r.PRESENT_PWM, None)
    name = "present current" if model.current_control else "present load"
    yield Entry(name, r.PRESENT_CURRENT, None)
    yield Entry("present velocity", r.PRESENT_VELOCITY, None)
    yield Entry("present position", r.PRESENT_POSITION, None)
    yield Entry("velocity trajectory", r.VELOCITY_TRAJECTORY, None)
    yield Entry("position trajectory", r.POSITION_TRAJECTORY, None)
    yield Entry("present input voltage", r.INPUT_VOLTAGE, None)
    yield Entry("present temperature", r.TEMPERATURE, None)
    if not model.series.two_axes:
        yield Entry("backup ready", r.BACKUP_READY, 0)
    for port in range(model.series.external_ports):
        yield Entry(f"external port data {port + 1}", Register(152 + 2 * port, 2), 0, 0, 4095)


def _indirect(model: Model) -> Iterator[Entry]:
    """Indirect addresses and, after them, the data that they point to."""
    blocks = [(168, 208, 20)] if model.series.small else [(168, 224, 28), (578, 634, 28)]
    last = blocks[-1][1] + blocks[-1][2] - 1
    first = 1
    for addresses, data, count in blocks:
        for i in range(count):
            register = Register(addresses + 2 * i, 2)
            yield Entry(f"indirect address {first + i}", register, data + i, 64, last)
        for i in range(count):
            yield Entry(f"indirect data {first + i}", Register(data + i, 1), 0, 0, 255)
        first += count
