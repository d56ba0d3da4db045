"""The servos' side of Dynamixel Protocol 2.0: executes instruction packets, and answers them.

Robotis e-manual, "DYNAMIXEL Protocol 2.0", Instruction Details and Status Packet.
"""

import struct
from collections.abc import Callable, Sequence

from inhand.hardware.dynamixel import registers
from inhand.hardware.dynamixel.fast_read import bulk_reply_header, encode_reply
from inhand.hardware.dynamixel.protocol import (
    BROADCAST,
    Fault,
    Instruction,
    Packet,
    encode_status,
)
from inhand.sim_backend.line_members import LineMembers
from inhand.sim_backend.register_file import TABLE_SIZE
from inhand.sim_backend.servo import RESET_ALL, Servo

Refresh = Callable[[tuple[int, int]], None]
"""Writes the measurements into the registers from one address to before another."""
Write = Callable[[Servo, int, bytes], Fault | None]
"""Writes registers of a servo from an address on; returns the fault if they are refused."""

_CLEAR_TURNS = b"\x01\x44\x58\x4c\x22"
_BACKUP = {b"\x01CTRL": Servo.back_up, b"\x02CTRL": Servo.restore}
"""What the parameters of a control table backup do."""
_LEVEL = registers.STATUS_RETURN_LEVEL.address
_WHOLE = 0, TABLE_SIZE
_SPAN = struct.Struct("<BHH")
"""Id, address and length."""


def collide(answers: Sequence[bytes]) -> bytes:
    """What the line carries if several servos answer at the same time.

    A line at 0 cannot be pulled to 1 by another servo, so that different answers are garbled, and
    equal ones look like one.
    """
    if len(answers) < 2:
        return answers[0] if answers else b""
    longest = max(map(len, answers))
    mixed = bytearray(b"\xff" * longest)
    for answer in answers:
        for i, byte in enumerate(answer):
            mixed[i] &= byte
    return bytes(mixed)


def _spans(parameters: bytes) -> list[tuple[int, int, int]]:
    """Id, address and length of each servo in a bulk read."""
    whole = parameters[: len(parameters) // _SPAN.size * _SPAN.size]
    return list(_SPAN.iter_unpack(whole))


def _hull(spans: Sequence[tuple[int, int, int]]) -> tuple[int, int]:
    """The first address of all spans, and the first one after them."""
    first = min((address for _, address, _ in spans), default=0)
    return first, max((address + length for _, address, length in spans), default=0)


class Instructions:
    """Executes packets on the servos of a line.

    Args:
        members: the servos.
        refresh: writes the present measurements into their registers.
        write: writes registers of a servo.
        goals: executes the parameters of a sync write of goals; returns whether it could.

    Attributes:
        delay: sum of the return delays in the answers since it was set to 0 [s].
    """

    def __init__(
        self, members: LineMembers, refresh: Refresh, write: Write, goals: Callable[[bytes], bool]
    ) -> None:
        self.delay = 0.0
        self._members, self._refresh, self._write, self._goals = members, refresh, write, goals
        self._shadows = list[Servo]()

    def perform(self, packet: Packet) -> bytes:
        """Executes a packet; returns the answers of all servos, in the order on the line."""
        parameters, self._shadows = packet.parameters, self._members.shadows()
        match packet.instruction:
            case Instruction.SYNC_WRITE if len(parameters) >= 4:
                self._sync_write(parameters)
                return b""
            case Instruction.SYNC_READ if len(parameters) >= 4:
                span = struct.unpack_from("<HH", parameters)
                return self._read_each([(id, *span) for id in parameters[4:]])
            case Instruction.FAST_SYNC_READ if len(parameters) >= 4:
                span = struct.unpack_from("<HH", parameters)
                return self._read_fast([(id, *span) for id in parameters[4:]])
            case Instruction.BULK_READ:
                return self._read_each(_spans(parameters))
            case Instruction.FAST_BULK_READ:
                return self._read_fast(_spans(parameters))
            case Instruction.BULK_WRITE:
                self._bulk_write(parameters)
                return b""
        if packet.id == BROADCAST:
            return self._broadcast(packet)
        for servo in self._shadows_at(packet.id):
            self._execute(servo, servo.get(registers.ID), packet)
        answers = [
            self._answer_alone(servo, packet) for servo in self._members.addressed(packet.id)
        ]
        return collide(answers)

    def _broadcast(self, packet: Packet) -> bytes:
        """A packet for all servos; only pings are answered."""
        if packet.instruction == Instruction.PING:
            ids = sorted(self._members.servos)
            return b"".join(
                collide([self._answer_ping(s, id) for s in self._members.addressed(id)])
                for id in ids
            )
        if packet.instruction == Instruction.FACTORY_RESET and packet.parameters == RESET_ALL:
            # Firmware 42 and later ignore it, so that not all servos get the same id.
            return b""
        for id, servo in list(self._members.servos.items()):
            self._execute(servo, id, packet)
        for twin in list(self._members.twins):
            self._execute(twin, twin.get(registers.ID), packet)
        return b""

    def _answer_alone(self, servo: Servo, packet: Packet) -> bytes:
        """Executes an instruction for one id on one servo; returns its answer."""
        if packet.instruction == Instruction.PING:
            return self._answer_ping(servo, packet.id)
        if packet.instruction == Instruction.READ and len(packet.parameters) == 4:
            self._refresh(_WHOLE)
            return self._answer_read(servo, packet.id, *struct.unpack("<HH", packet.parameters))
        level = servo.get(registers.STATUS_RETURN_LEVEL)
        fault = self._execute(servo, packet.id, packet)
        # The level from before: a write that lowers it is still answered.
        if level < 2:
            return b""
        return self._status(servo, packet.id, servo.alert | (fault or 0))

    def _execute(self, servo: Servo, id: int, packet: Packet) -> Fault | None:
        """Executes an instruction that is neither ping nor read on the servo at this id."""
        parameters = packet.parameters
        match packet.instruction:
            case Instruction.WRITE | Instruction.REG_WRITE if len(parameters) > 2:
                (address,) = struct.unpack_from("<H", parameters)
                if packet.instruction == Instruction.REG_WRITE:
                    return servo.register(address, parameters[2:])
                return self._write_register(servo, id, address, parameters[2:])
            case Instruction.ACTION:
                if servo.registered is None:
                    return Fault.INSTRUCTION
                return self._write_register(servo, id, *servo.take_registered())
            case Instruction.REBOOT:
                self._refresh(_WHOLE)
                servo.reboot()
                return None
            case Instruction.FACTORY_RESET if len(parameters) == 1:
                self._refresh(_WHOLE)
                fault = servo.factory_reset(parameters)
                self._members.moved(servo, id)
                return fault
            case Instruction.CLEAR if len(parameters) == len(_CLEAR_TURNS):
                self._refresh(_WHOLE)
                return servo.clear_turns() if parameters == _CLEAR_TURNS else Fault.RANGE
            case Instruction.BACKUP if parameters in _BACKUP:
                return _BACKUP[parameters](servo)
            case (
                Instruction.READ
                | Instruction.WRITE
                | Instruction.REG_WRITE
                | Instruction.FACTORY_RESET
                | Instruction.CLEAR
                | Instruction.BACKUP
            ):
                return Fault.LENGTH
        return Fault.INSTRUCTION

    def _write_register(self, servo: Servo, id: int, address: int, data: bytes) -> Fault | None:
        fault = self._write(servo, address, data)
        # A new id is valid at once; the reply still has the one before.
        self._members.moved(servo, id)
        return fault

    def _sync_write(self, parameters: bytes) -> None:
        if not self._shadows and self._goals(parameters):
            return
        address, length = struct.unpack_from("<HH", parameters)
        rows = parameters[4:]
        if not length or len(rows) % (length + 1):
            return
        for start in range(0, len(rows), length + 1):
            self._write_silently(rows[start], address, rows[start + 1 : start + 1 + length])

    def _bulk_write(self, parameters: bytes) -> None:
        while len(parameters) >= _SPAN.size:
            id, address, length = _SPAN.unpack_from(parameters)
            data, parameters = parameters[5 : 5 + length], parameters[5 + length :]
            if len(data) == length:
                self._write_silently(id, address, data)

    def _write_silently(self, id: int, address: int, data: bytes) -> None:
        for servo in self._members.addressed(id):
            self._write_register(servo, id, address, data)
        for servo in self._shadows_at(id):
            self._write_register(servo, servo.get(registers.ID), address, data)

    def _shadows_at(self, id: int) -> list[Servo]:
        """The servos that have this id as their secondary one only."""
        return [
            servo
            for servo in self._shadows
            if servo.get(registers.SECONDARY_ID) == id != servo.get(registers.ID)
        ]

    def _read_each(self, spans: Sequence[tuple[int, int, int]]) -> bytes:
        """One answer of each servo."""
        self._refresh(_hull(spans))
        return b"".join(
            collide([self._answer_read(s, id, address, length) for s in here])
            for id, address, length in spans
            if (here := self._members.addressed(id))
        )

    def _read_fast(self, spans: Sequence[tuple[int, int, int]]) -> bytes:
        """One answer of all servos; it breaks off at a missing servo, as the others wait."""
        self._refresh(_hull(spans))
        blocks, collided = list[tuple[int, int, bytes]](), list[int]()
        for id, address, length in spans:
            here = self._members.addressed(id)
            data = here[0].read(address, length) if here else None
            if not isinstance(data, bytes) or not here[0].table[_LEVEL]:
                break
            blocks.append((id, here[0].alert, data))
            if len(here) > 1 and any(servo.read(address, length) != data for servo in here[1:]):
                collided.append(len(blocks) - 1)
            # The return delays of all servos run at the same time.
            self.delay = max(self.delay, here[0].return_delay)
        header = bulk_reply_header([length for _, _, length in spans])
        pieces = encode_reply(header, blocks)
        for place in collided:
            pieces[place] = bytes(len(pieces[place]))
        return b"".join(pieces)

    def _answer_ping(self, servo: Servo, id: int) -> bytes:
        model, firmware = servo.get(registers.MODEL_NUMBER), servo.get(registers.FIRMWARE)
        return self._status(servo, id, servo.alert, struct.pack("<HB", model, firmware))

    def _answer_read(self, servo: Servo, id: int, address: int, length: int) -> bytes:
        if not servo.table[_LEVEL]:
            return b""
        data = servo.read(address, length)
        if isinstance(data, Fault):
            return self._status(servo, id, servo.alert | data)
        return self._status(servo, id, servo.alert, data)

    def _status(self, servo: Servo, id: int, error: int, data: bytes = b"") -> bytes:
        """A status packet of one servo, after its return delay."""
        self.delay += servo.return_delay
        return encode_status(id, error, data)
