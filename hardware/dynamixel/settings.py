"""Settings that every servo must have, and what to do where a servo has another one.

Other programs leave settings behind: a reversed direction, an offset, a profile, lower or higher
limits, a servo that gives itself torque at power-up. This table states the accepted values of all
registers that matter to this driver, for each model.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from inhand.hardware.dynamixel import registers as r
from inhand.hardware.dynamixel.control_table import Entry, control_table
from inhand.hardware.dynamixel.models import FULL_PWM, POSITION, Model
from inhand.hardware.dynamixel.registers import Register

SPANS = (r.BAUD_RATE.address, 56), (r.TORQUE_ENABLE.address, 56)
"""Address and length of the registers that are compared with the table: short enough for a tick."""
GAINS = r.POSITION_P, r.POSITION_I, r.POSITION_D
"""Registers of the configured gains, in the order of the configuration."""


RESTORE = "`inhand restore` gives the servo its factory settings"


class Action(Enum):
    """What is done with a servo that has another value."""

    SET = "bring-up sets it"
    REFUSE = "bring-up refuses the servo"
    REPORT = "only reported"


@dataclass(frozen=True, slots=True)
class Setting:
    """The accepted values of one register.

    Attributes:
        entry: the register.
        wanted: value to set.
        low: smallest accepted value.
        high: largest accepted value.
        action: what to do with another value.
        reason: what another value does.
        remedy: what the user can do about it.
    """

    entry: Entry
    wanted: int
    low: int
    high: int
    action: Action
    reason: str
    remedy: str = ""

    @property
    def register(self) -> Register:
        """Address and size."""
        return self.entry.register


@dataclass(frozen=True, slots=True)
class Deviation:
    """A register of a servo with a value that is not accepted.

    Attributes:
        id: of the servo.
        setting: what is accepted.
        value: what the servo has.
    """

    id: int
    setting: Setting
    value: int

    def describe(self) -> str:
        """Register, value and wanted value in words."""
        entry, setting = self.setting.entry, self.setting
        wanted = f"{setting.wanted}"
        if setting.low != setting.high:
            wanted = f"{setting.low} to {setting.high}"
        return (
            f"{entry.name} (register {entry.register.address}) is {self.value} instead of "
            f"{wanted}: {setting.reason}"
        )


def settings(
    model: Model, bound: int, most: int, gains: tuple[int, int, int] | None = None
) -> tuple[Setting, ...]:
    """The settings of a servo.

    Args:
        model: of the servo.
        bound: wanted value of its torque register, which limits its torque [counts].
        most: value of the torque register for its whole torque limit in the hand file [counts].
        gains: proportional, integral and derivative gain of position; None leaves them.
    """
    return tuple(_settings(model, bound, most, gains))


def deviations(id: int, rows: tuple[Setting, ...], table: bytes) -> Iterator[Deviation]:
    """Where a servo's registers differ from its settings.

    Args:
        id: of the servo.
        rows: its settings.
        table: its registers, from address 0 on.
    """
    for row in rows:
        at, size = row.register.address, row.register.size
        value = row.register.unpack(table[at : at + size])
        if not row.low <= value <= row.high:
            yield Deviation(id, row, value)


def _settings(
    model: Model, bound: int, most: int, gains: tuple[int, int, int] | None
) -> Iterator[Setting]:
    yield from _of_position(model)
    yield from _of_limits(model, bound, most)
    yield _exact(model, r.RETURN_DELAY, 0, "replies come later than they could")
    yield _exact(model, r.SECONDARY_ID, 255, "the servo also obeys what is sent to this id")
    usual = _default(model, r.MOVING_THRESHOLD)
    yield _exact(model, r.MOVING_THRESHOLD, usual, "not the factory setting")
    if model.series.small:
        usual = _default(model, r.PWM_SLOPE)
        yield _exact(model, r.PWM_SLOPE, usual, "the servo's voltage rises at another rate")
    if not model.series.two_axes:
        yield _exact(model, r.STARTUP, 0, "the servo may give itself torque at power-up")
    yield _exact(model, r.STATUS_RETURN_LEVEL, 2, "the servo does not confirm what is written")
    for register in (r.FEEDFORWARD_1, r.FEEDFORWARD_2):
        yield _exact(model, register, 0, "it adds to the motion that the gains cause")
    for register in (r.PROFILE_ACCELERATION, r.PROFILE_VELOCITY):
        yield _exact(model, register, 0, "the servo follows its targets late")
    for register, gain in zip(GAINS, gains or model.gains, strict=True):
        if gains:
            yield _exact(model, register, gain, "not the configured gain")
        else:
            remedy = "set `gains` under [bus] of the configuration, or `inhand reboot` the servo"
            reason = "not the factory setting"
            yield _exact(model, register, gain, reason, Action.REPORT, remedy)


def _of_position(model: Model) -> Iterator[Setting]:
    """Settings on which the meaning of a position depends."""
    anew = "`inhand restore`, then `inhand calibrate joints`"
    turned = "the servo may turn the wrong way, follow another one, or switch its own torque on"
    shifted = "the joint's angle is shifted"
    yield _exact(model, r.DRIVE_MODE, 0, turned, Action.REFUSE, anew)
    yield _exact(model, r.HOMING_OFFSET, 0, shifted, Action.REFUSE, anew)
    yield _exact(model, r.OPERATING_MODE, model.operating_mode, "not the mode of this driver")
    # Position limits count in position mode only.
    action = Action.SET if model.operating_mode == POSITION else Action.REPORT
    reason = "in position mode, goals beyond it are refused"
    yield _exact(model, r.MAX_POSITION, r.COUNTS - 1, reason, action, RESTORE)
    yield _exact(model, r.MIN_POSITION, 0, reason, action, RESTORE)


def _of_limits(model: Model, bound: int, most: int) -> Iterator[Setting]:
    """Limits that protect the servo and what it holds."""
    table = control_table(model)
    hottest, entry = model.hottest, table[r.TEMPERATURE_LIMIT.address]
    yield Setting(entry, hottest, 0, hottest, Action.SET, "the servo may get too hot")
    # The factory settings are the widest range that the servo accepts.
    reason = "the servo may shut down although its voltage is right"
    for register in (r.MAX_VOLTAGE, r.MIN_VOLTAGE):
        wanted = _default(model, register)
        yield _exact(model, register, wanted, reason, Action.REPORT, RESTORE)
    weak = "the servo cannot use its whole voltage"
    if model.current_control:
        yield _exact(model, r.PWM_LIMIT, FULL_PWM, weak)
        yield _exact(model, r.GOAL_PWM, FULL_PWM, weak)
        # With this limit in EEPROM, a servo that has restarted is not stronger than before.
        entry, strong = table[r.CURRENT_LIMIT.address], "after a restart the servo is too strong"
        yield Setting(entry, most, 0, most, Action.SET, strong)
    limit = table[(r.CURRENT_LIMIT if model.current_control else r.PWM_LIMIT).address]
    reason = "smaller than the torque limit that the hand file needs"
    remedy = f"{RESTORE}, or lower `torque_share` under [bus] of the configuration"
    yield Setting(limit, bound, bound, limit.high or 0, Action.REFUSE, reason, remedy)
    torque = r.torque_register(model)
    yield _exact(model, torque, bound, "not the torque limit of the hand file")
    usual = _default(model, r.VELOCITY_LIMIT)
    reason = "not the factory setting"
    yield _exact(model, r.VELOCITY_LIMIT, usual, reason, Action.REPORT, RESTORE)
    yield _exact(model, r.SHUTDOWN, model.shutdown, "not the factory setting")


def _exact(
    model: Model,
    register: Register,
    wanted: int,
    reason: str,
    action: Action = Action.SET,
    remedy: str = "",
) -> Setting:
    entry = control_table(model)[register.address]
    return Setting(entry, wanted, wanted, wanted, action, reason, remedy)


def _default(model: Model, register: Register) -> int:
    value = control_table(model)[register.address].default
    assert value is not None
    return value
