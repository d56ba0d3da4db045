"""Bring-up: checks the servo models and writes the settings that differ from the required ones."""

import logging

from inhand.hardware.dynamixel import registers
from inhand.hardware.dynamixel.condition import Condition
from inhand.hardware.dynamixel.group import ServoGroup
from inhand.hardware.errors import BusError

log = logging.getLogger(__name__)


class BringUp:
    """Checks the servos and writes the registers that differ.

    EEPROM registers are written only where they differ; this needs torque off.

    Args:
        group: the servos.
        condition: writes the torque limits.
        gains: register values of proportional, integral and derivative gain; None leaves them.
        readonly: whether to log differences instead of writing registers.
    """

    def __init__(
        self,
        group: ServoGroup,
        condition: Condition,
        gains: tuple[int, int, int] | None,
        *,
        readonly: bool,
    ) -> None:
        self._group, self._condition = group, condition
        self._gains, self._readonly = gains, readonly

    def check_models(self) -> None:
        """Raises BusError if a servo is absent or of another model."""
        group, hand = self._group, self._group.hand
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
        """Sets operating mode, return delay and gains where they differ; limits the torque.

        Raises:
            BusError: a register did not change.
        """
        group = self._group
        models = dict(zip(group.ids, group.units.models, strict=True))
        without = [id for id, model in models.items() if not model.current_control]
        if without:
            log.warning(
                "no current control in servo %s; its PWM is limited instead, and the current "
                "that it reports is its load",
                group.names(without),
            )
        wanted = [
            (registers.OPERATING_MODE, {id: m.operating_mode for id, m in models.items()}),
            (registers.RETURN_DELAY, dict.fromkeys(group.ids, 0)),
        ]
        if self._gains:
            of_gains = registers.POSITION_P, registers.POSITION_I, registers.POSITION_D
            wanted += [
                (register, dict.fromkeys(group.ids, gain))
                for register, gain in zip(of_gains, self._gains, strict=True)
            ]
        for register, values in wanted:
            self._set(register, values)
        self._condition.look_at_all()
        if not self._readonly:
            self._condition.bound_torque()

    def _set(self, register: registers.Register, values: dict[int, int]) -> None:
        group, other = self._group, self._group.differing(register, values)
        if not other:
            return
        if self._readonly:
            log.warning("register %d of servo %s differs", register.address, group.names(other))
            return
        for id in other:
            group.bus.write(id, register.address, register.pack(values[id]))
        if refused := group.differing(register, values):
            raise BusError(
                f"register {register.address} of servo {group.names(refused)} could not be "
                "set; it is locked while torque is on: switch the hand's power off and on"
            )
        log.info("set register %d of servo %s", register.address, group.names(other))
