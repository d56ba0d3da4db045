"""Which values the registers of an emulated servo take.

Robotis e-manual: a value outside a register's own range is a Data Range Error, a value beyond a
limit that another register sets is a Data Limit Error.
"""

from collections.abc import Callable

from inhand.hardware.dynamixel import registers
from inhand.hardware.dynamixel.control_table import Entry
from inhand.hardware.dynamixel.models import POSITION
from inhand.hardware.dynamixel.protocol import Fault
from inhand.hardware.dynamixel.registers import Model, Register

_MODES = {0, 1, 3, 4, 5, 16}
"""Operating modes; the first and the last but one need current control."""
_CURRENT_MODES = {0, 5}
_SMALL_PROTOCOLS, _PROTOCOLS = {2, 20, 21, 22}, {1, 2}
_DUAL_DRIVE = 2
"""Bit of the drive mode: follow another servo."""

Get = Callable[[Register], int]
"""Returns the present value of a register."""


def rule_broken(get: Get, model: Model, entry: Entry, value: int) -> Fault | None:
    """Why a writable register does not take a value; None if it does.

    Args:
        get: the other registers of the servo.
        model: its model.
        entry: the register.
        value: to write.
    """
    register = entry.register
    if entry.bound is not None:
        return Fault.LIMIT if abs(value) > get(entry.bound) else None
    assert entry.high is not None
    if register == registers.GOAL_POSITION and get(registers.OPERATING_MODE) == POSITION:
        low, high = get(registers.MIN_POSITION), get(registers.MAX_POSITION)
        return None if low <= value <= high else Fault.LIMIT
    if not entry.low <= value <= entry.high:
        return Fault.RANGE
    if register == registers.OPERATING_MODE:
        modes = _MODES if model.current_control else _MODES - _CURRENT_MODES
        return None if value in modes else Fault.RANGE
    if register == registers.PROTOCOL:
        protocols = _SMALL_PROTOCOLS if model.series.small else _PROTOCOLS
        return None if value in protocols else Fault.RANGE
    if register == registers.DRIVE_MODE and value & _DUAL_DRIVE and not model.series.dual:
        return Fault.RANGE
    return None
