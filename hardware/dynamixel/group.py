"""All servos of a hand on a bus, asked and told together."""

from collections.abc import Iterable, Sequence

from inhand.hardware.dynamixel import registers
from inhand.hardware.dynamixel.bus import Bus
from inhand.hardware.dynamixel.protocol import ALERT
from inhand.hardware.dynamixel.registers import Register, Units
from inhand.hardware.dynamixel.replies import Replies
from inhand.hardware.errors import BusError, ServoError
from inhand.hardware.model.hand import Hand

_ATTEMPTS = 3
"""Where time does not press."""
_REFUSED = ~ALERT & 0xFF
"""Bits of an error byte that say why a servo did not do what it was asked."""


class ServoGroup:
    """What is done with all servos alike; whoever does not answer, or refuses, is named.

    Args:
        hand: which servos there are.
        bus: that they are on.

    Attributes:
        ids: of the servos, in actuator order.
        units: how they count.

    Raises:
        DescriptionError: the hand has a servo of unknown model.
    """

    def __init__(self, hand: Hand, bus: Bus) -> None:
        self.hand, self.bus = hand, bus
        self.units = Units(hand)
        self.ids = tuple(actuator.servo.id for actuator in hand.actuators)
        self._name = {a.servo.id: f"{a.servo.id} ({a.name})" for a in hand.actuators}
        self._errors: dict[int, int] = {}
        self._unheard: list[int] = []

    def names(self, ids: Iterable[int]) -> str:
        """Servos as people know them: id and joint."""
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

    def ask(
        self,
        ids: tuple[int, ...],
        register: Register,
        attempts: int,
        deadline: float | None = None,
    ) -> Replies:
        """What these servos have in a register."""
        return self.bus.sync_read(
            register.address, register.size, ids, attempts=attempts, deadline=deadline
        )

    def differing(self, register: Register, values: dict[int, int]) -> list[int]:
        """Servos whose register has another value than they should."""
        return [id for id, now in self.read_all(register).items() if now != values[id]]

    def other_than(self, register: Register, value: int) -> list[int]:
        """Servos whose register has another value."""
        return self.differing(register, dict.fromkeys(self.ids, value))

    def require(self, replies: Replies, address: int) -> None:
        """Raises BusError if a servo is missing or in trouble."""
        if silent := replies.silent:
            raise BusError(f"{self.no_answer(silent)}; check power, cable, id and baud")
        self.refuse_troubled(replies, address)

    def no_answer(self, silent: Iterable[int]) -> str:
        """Who does not answer, in words."""
        return f"no answer from servo {self.names(silent)} on {self.bus.port}"

    def refuse_troubled(self, replies: Replies, address: int) -> None:
        """Raises ServoError if a servo that answered reports a hardware error, BusError if one
        refused."""
        if not replies.error.any():
            return
        alarmed = replies.having(ALERT)
        if alarmed and address != registers.HARDWARE_ERROR.address:
            raise ServoError(self.diagnose(alarmed))
        self.refuse_refused(replies, address)

    def refuse_refused(self, replies: Replies, address: int) -> None:
        """Raises BusError if a servo refused to be read."""
        if refused := replies.having(_REFUSED):
            raise BusError(
                f"servo {self.names(refused)} refused to read {replies.data.shape[1]} bytes at "
                f"{address}"
            )

    def diagnose(self, alarmed: Sequence[int], deadline: float | None = None) -> str:
        """Which hardware errors servos have, in words, and what to do."""
        found = self.ask(tuple(alarmed), registers.HARDWARE_ERROR, 1, deadline)
        self._errors |= found.numbers(registers.HARDWARE_ERROR)
        causes = [
            f"servo {self.names([id])}: {registers.hardware_error(self._errors[id])}"
            for id in alarmed
            if id in self._errors
        ]
        listed = "; ".join(causes) or f"servo {self.names(alarmed)}: hardware error"
        return f"{listed}; remove the cause, then reboot the servo"

    def may_pull(self, deadline: float | None = None) -> str:
        """Which servos do not say that their torque is off; empty if all do, ill ones too."""
        register, told = registers.TORQUE_ENABLE, dict[int, int]()
        # Whoever was not heard the last time is asked last: waiting for it costs the others' time.
        first = tuple(id for id in self.ids if id not in self._unheard)
        for ids, attempts in ((first, 2), (tuple(self._unheard), 1)):
            if ids:
                replies = self.ask(ids, register, attempts, deadline)
                refused = set(replies.having(_REFUSED))
                numbers = replies.numbers(register)
                told |= {id: on for id, on in numbers.items() if id not in refused}
        self._unheard = [id for id in self.ids if id not in told]
        problems = []
        if silent := [id for id in self.ids if id not in told]:
            problems.append(
                f"torque could not be confirmed on servo {self.names(silent)}, which may still "
                f"pull: {self.no_answer(silent)}"
            )
        if pulling := [id for id, on in told.items() if on]:
            problems.append(f"torque did not go off at servo {self.names(pulling)}")
        return "; ".join(problems)
