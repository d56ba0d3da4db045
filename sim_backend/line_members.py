"""The servos on a line, by the id that each has now; several may have the same id."""

from collections.abc import Iterable, Iterator

from inhand.hardware.dynamixel import registers
from inhand.sim_backend.servo import Servo

LARGEST_ID = 252
"""Largest id; larger values of the secondary id switch it off."""
_SECONDARY = registers.SECONDARY_ID.address


class LineMembers:
    """The servos that are connected to a line.

    Args:
        servos: all of them.

    Attributes:
        servos: by id.
        twins: servos with the id of another servo.
    """

    def __init__(self, servos: Iterable[Servo]) -> None:
        self.servos: dict[int, Servo] = {}
        self.twins: list[Servo] = []
        for servo in servos:
            self.add(servo)

    def __iter__(self) -> Iterator[Servo]:
        yield from self.servos.values()
        yield from self.twins

    def add(self, servo: Servo, id: int | None = None) -> None:
        """Connects a servo, at the id in its register or at `id`."""
        id = servo.get(registers.ID) if id is None else id
        if id in self.servos:
            self.twins.append(servo)
        else:
            self.servos[id] = servo

    def remove(self, servo: Servo) -> None:
        """Disconnects a servo; nothing happens if it is not connected."""
        if servo in self.twins:
            self.twins.remove(servo)
            return
        for id, one in list(self.servos.items()):
            if one is servo:
                del self.servos[id]
                self._promote(id)

    def addressed(self, id: int) -> tuple[Servo, ...]:
        """The servos that answer at an id."""
        servo = self.servos.get(id)
        if servo is None:
            return ()
        if not self.twins:
            return (servo,)
        return servo, *(twin for twin in self.twins if twin.get(registers.ID) == id)

    def shadows(self) -> list[Servo]:
        """The servos that have a secondary id, at which they execute and do not answer."""
        return [s for s in self if s.table[_SECONDARY] <= LARGEST_ID]

    def moved(self, servo: Servo, before: int) -> None:
        """Records that a servo may have another id than `before` now."""
        now = servo.get(registers.ID)
        if now == before:
            return
        if servo in self.twins:
            self.twins.remove(servo)
        elif self.servos.get(before) is servo:
            del self.servos[before]
            self._promote(before)
        self.add(servo)

    def _promote(self, id: int) -> None:
        """Gives a free id to the first twin that has it."""
        for twin in self.twins:
            if twin.get(registers.ID) == id:
                self.twins.remove(twin)
                self.servos[id] = twin
                return
