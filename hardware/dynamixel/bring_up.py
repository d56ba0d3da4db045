"""Bring-up: checks the servo models and all settings, and writes what may be written."""

import logging
from collections.abc import Iterable, Sequence

from inhand.hardware.dynamixel import registers, requests
from inhand.hardware.dynamixel.condition import Condition
from inhand.hardware.dynamixel.group import ServoGroup
from inhand.hardware.dynamixel.settings import SPANS, Action, Deviation, deviations, settings
from inhand.hardware.errors import BusError

log = logging.getLogger(__name__)

_ATTEMPTS = 3
"""Attempts to write the settings: servos do not confirm a sync write, which may be damaged."""


class BringUp:
    """Checks the servos, and writes the registers that differ.

    EEPROM registers are written only where they differ; this needs torque off.

    Args:
        group: the servos.
        condition: takes voltages and temperatures.
        gains: register values of proportional, integral and derivative gain; None leaves them.
        torque_share: usable share of each actuator's torque limit.
        readonly: whether to log differences instead of writing registers.
    """

    def __init__(
        self,
        group: ServoGroup,
        condition: Condition,
        gains: tuple[int, int, int] | None,
        torque_share: float,
        *,
        readonly: bool,
    ) -> None:
        self._group, self._condition, self._readonly = group, condition, readonly
        rows = zip(
            group.ids,
            group.units.models,
            group.units.torque_goals(torque_share),
            group.units.torque_goals(),
            strict=True,
        )
        self._settings = {
            id: settings(model, bound, most, gains) for id, model, bound, most in rows
        }

    def check_models(self) -> None:
        """Raises BusError if a servo is absent or of another model."""
        group, hand = self._group, self._group.hand
        self._make_talk()
        numbers = group.read_all(registers.MODEL_NUMBER)
        for actuator, model in zip(hand.actuators, group.units.models, strict=True):
            servo = actuator.on_bus
            if numbers[servo.id] != model.number:
                raise BusError(
                    f"servo {group.names([servo.id])} has model number {numbers[servo.id]}, but "
                    f"hand {hand.name} has a {servo.model} ({model.number}) there; is the "
                    "right hand plugged in?"
                )

    def watched(self) -> bool:
        """Whether a bus watchdog is armed or has tripped, so that it must be switched off."""
        left = self._group.other_than(registers.BUS_WATCHDOG, 0)
        if left and self._readonly:
            log.warning("bus watchdog of servo %s is armed or tripped", self._group.names(left))
        return bool(left) and not self._readonly

    def set_up(self) -> None:
        """Writes the settings that differ, and reads all of them back.

        Raises:
            BusError: a servo has a setting that must not be changed without asking, or one that
                could not be changed.
        """
        self._name_models_without_current()
        self.verify(self._group.ids, write=not self._readonly)
        self._condition.look_at_all()

    def verify(self, ids: Sequence[int], *, write: bool) -> None:
        """Compares all settings of these servos with the wanted ones.

        Args:
            ids: the servos.
            write: whether to write settings that differ; otherwise a difference is an error,
                or only logged if nothing may be written at all.

        Raises:
            BusError: a setting differs.
        """
        for attempt in range(_ATTEMPTS + 1):
            found = self.deviations(ids)
            self._refuse([one for one in found if one.setting.action is Action.REFUSE])
            wrong = [one for one in found if one.setting.action is Action.SET]
            if not wrong:
                break
            if not write or attempt == _ATTEMPTS:
                self._refuse(wrong)
                break
            for one in wrong:
                self._write(one)
        for one in found:
            if one.setting.action is Action.REPORT:
                log.warning("servo %s: %s", self._group.names([one.id]), one.describe())

    def deviations(self, ids: Sequence[int]) -> list[Deviation]:
        """Where the registers of these servos differ from the wanted settings.

        Raises:
            BusError: a servo did not answer, or reports a hardware error.
        """
        tables = {id: bytearray(sum(SPANS[-1])) for id in ids}
        for address, length in SPANS:
            for id, data in self._group.read_span(ids, address, length).items():
                tables[id][address : address + length] = data
        return [
            one
            for id, table in tables.items()
            for one in deviations(id, self._settings[id], bytes(table))
        ]

    def _make_talk(self) -> None:
        """Makes servos answer reads that another program has told to answer pings only."""
        group, level = self._group, registers.STATUS_RETURN_LEVEL
        silent = group.ask(group.ids, registers.MODEL_NUMBER, 3).silent
        if not (mute := list(group.bus.ping(silent))):
            return
        if self._readonly:
            raise BusError(
                f"servo {group.names(mute)} answers no reads: its "
                f"(register {level.address}) is 0; `inhand reboot` sets it to 2"
            )
        log.info("servo %s answered no reads; status return level set", group.names(mute))
        rows = {id: level.pack(2) for id in mute}
        group.bus.tell(requests.sync_write(level.address, level.size, rows))

    def _write(self, one: Deviation) -> None:
        """Writes a setting; whether it was taken is seen by reading."""
        register, value = one.setting.register, one.setting.wanted
        if one.setting.entry.in_eeprom:
            self._group.bus.write(one.id, register.address, register.pack(value))
        else:
            rows = {one.id: register.pack(value)}
            self._group.bus.sync_write(register.address, register.size, rows)
        log.info("servo %s: set: %s", self._group.names([one.id]), one.describe())

    def _refuse(self, wrong: Iterable[Deviation]) -> None:
        """Raises BusError with these settings, or logs them if nothing may be written."""
        problems = [self._problem(one) for one in wrong]
        if self._readonly:
            for problem in problems:
                log.warning("%s", problem)
        elif problems:
            raise BusError("; ".join(problems))

    def _problem(self, one: Deviation) -> str:
        told = f"servo {self._group.names([one.id])}: {one.describe()}"
        if one.setting.action is Action.REFUSE:
            return f"{told}; remedy: {one.setting.remedy}"
        if one.setting.entry.in_eeprom:
            return (
                f"{told}; it could not be set, as it is locked while torque is on: "
                f"`inhand reboot {one.id}` switches torque off, and the joint goes limp"
            )
        return f"{told}; it could not be set; `inhand reboot {one.id}`, then try again"

    def _name_models_without_current(self) -> None:
        group = self._group
        rows = zip(group.ids, group.units.models, strict=True)
        if without := [id for id, model in rows if not model.current_control]:
            log.warning(
                "no current control in servo %s; its PWM is limited instead, and the current "
                "that it reports is its load",
                group.names(without),
            )
