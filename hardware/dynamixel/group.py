"""All servos of a hand on a bus, read and written together."""

from collections.abc import Iterable, Sequence

from inhand.hardware.dynamixel import registers
from inhand.hardware.dynamixel.bus import Bus
from inhand.hardware.dynamixel.protocol import ALERT
from inhand.hardware.dynamixel.registers import Register, Units
from inhand.hardware.dynamixel.replies import Replies
from inhand.hardware.errors import BusError, ServoError
from inhand.hardware.model.hand import Hand

_ATTEMPTS = 3
"""Attempts to read all servos outside of ticks."""
_REFUSED = ~ALERT & 0xFF
"""Bits of an error byte with the reason why a servo refused a request."""


class ServoGroup:
    """Reads and writes of all servos; errors name the servos that do not answer or refuse.

    Args:
        hand: defines the servos.
        bus: the bus of the servos.

    Attributes:
        ids: of the servos, in actuator order.
        units: conversion between register counts and physical units.

    Raises:
        DescriptionError: the hand has a servo of unknown model.
    """

    def __init__(self, hand: Hand, bus: Bus) -> None:
        self.hand, self.bus = hand, bus
        self.units = Units(hand)
        self.ids = tuple(actuator.on_bus.id for actuator in hand.actuators)
        self._name = {a.on_bus.id: f"{a.on_bus.id} ({a.name})" for a in hand.actuators}
        self._errors: dict[int, int] = {}
        self._unanswered: list[int] = []

    def names(self, ids: Iterable[int]) -> str:
        """Servos for messages: id and joint."""
        return ", ".join(self._name[id] for id in ids)

    def write_all(self, register: Register, values: Iterable[int]) -> None:
        """Writes a register of every servo; none of them replies."""
        rows = {id: register.pack(value) for id, value in zip(self.ids, values, strict=True)}
        self.bus.sync_write(register.address, register.size, rows)

    def read_all(self, register: Register) -> dict[int, int]:
        """A register of every servo.

        Raises:
            BusError: a servo did not answer, refused, or reports a hardware error.
        """
        replies = self.ask(self.ids, register, _ATTEMPTS)
        self.require(replies, register.address)
        return dict(replies.numbers(register))

    def read_span(self, ids: Sequence[int], address: int, length: int) -> dict[int, bytes]:
        """The same registers of several servos, as bytes by servo id.

        Raises:
            BusError: a servo did not answer, refused, or reports a hardware error.
        """
        replies = self.bus.sync_read(address, length, ids, attempts=_ATTEMPTS)
        self.require(replies, address)
        return {id: row.tobytes() for id, row in zip(replies.ids, replies.data, strict=True)}

    def ask(
        self,
        ids: tuple[int, ...],
        register: Register,
        attempts: int,
        deadline: float | None = None,
    ) -> Replies:
        """Reads a register of these servos; see `Bus.sync_read`."""
        return self.bus.sync_read(
            register.address, register.size, ids, attempts=attempts, deadline=deadline
        )

    def differing(self, register: Register, values: dict[int, int]) -> list[int]:
        """Servos whose register differs from the wanted value, given by servo id."""
        return [id for id, now in self.read_all(register).items() if now != values[id]]

    def other_than(self, register: Register, value: int) -> list[int]:
        """Servos whose register has another value."""
        return self.differing(register, dict.fromkeys(self.ids, value))

    def require(self, replies: Replies, address: int) -> None:
        """Raises BusError if a servo is missing, refused or reports a hardware error."""
        if silent := replies.silent:
            raise BusError(f"{self.no_answer(silent)}; check power, cable, id and baud")
        self.require_healthy(replies, address)

    def no_answer(self, silent: Iterable[int]) -> str:
        """Message that these servos do not answer."""
        return f"no answer from servo {self.names(silent)} on {self.bus.port}"

    def require_healthy(self, replies: Replies, address: int) -> None:
        """Raises ServoError if a servo reports a hardware error, BusError if one refused."""
        if not replies.error.any():
            return
        alarmed = replies.having(ALERT)
        if alarmed and address != registers.HARDWARE_ERROR.address:
            raise ServoError(self.diagnose(alarmed))
        self.require_accepted(replies, address)

    def require_accepted(self, replies: Replies, address: int) -> None:
        """Raises BusError if a servo refused the read."""
        if refused := replies.having(_REFUSED):
            raise BusError(
                f"servo {self.names(refused)} refused to read {replies.data.shape[1]} bytes at "
                f"{address}"
            )

    def diagnose(self, alarmed: Sequence[int], deadline: float | None = None) -> str:
        """Message with the hardware errors of these servos and the remedy."""
        found = self.ask(tuple(alarmed), registers.HARDWARE_ERROR, 1, deadline)
        self._errors |= found.numbers(registers.HARDWARE_ERROR)
        causes = [
            f"servo {self.names([id])}: {registers.hardware_error(self._errors[id])}"
            for id in alarmed
            if id in self._errors
        ]
        listed = "; ".join(causes) or f"servo {self.names(alarmed)}: hardware error"
        return f"{listed}; remove the cause, then reboot the servo"

    def torque_not_off(self, deadline: float | None = None) -> str:
        """Message with the servos whose torque is not confirmed as off; empty if all are off.

        Servos with hardware errors are asked too.
        """
        register, torque = registers.TORQUE_ENABLE, dict[int, int]()
        # Servos that did not answer the last time are asked last: waiting for them takes time.
        first = tuple(id for id in self.ids if id not in self._unanswered)
        for ids, attempts in ((first, 2), (tuple(self._unanswered), 1)):
            if ids:
                replies = self.ask(ids, register, attempts, deadline)
                refused = set(replies.having(_REFUSED))
                numbers = replies.numbers(register)
                torque |= {id: on for id, on in numbers.items() if id not in refused}
        self._unanswered = [id for id in self.ids if id not in torque]
        problems = []
        if silent := [id for id in self.ids if id not in torque]:
            problems.append(
                f"torque could not be confirmed on servo {self.names(silent)}, which may still "
                f"pull: {self.no_answer(silent)}"
            )
        if pulling := [id for id, on in torque.items() if on]:
            problems.append(f"torque did not go off at servo {self.names(pulling)}")
        return "; ".join(problems)
