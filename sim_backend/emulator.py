"""Dynamixel servos as they are seen on the wire: bytes in, bytes out, registers in between."""

import struct
from collections.abc import Callable

import numpy as np

from hardware import registers
from hardware.hand import Hand
from hardware.protocol import (
    ALERT,
    BROADCAST,
    Fault,
    Instruction,
    Packet,
    Parser,
    encode_status,
)
from hardware.records import Array
from hardware.registers import Model, Register, Units
from sim_backend.servos import Mask

TABLE_SIZE = 147
"""Bytes of the control table."""
_FIRMWARE = 50
_WRITABLE = (
    registers.ID,
    registers.RETURN_DELAY,
    registers.OPERATING_MODE,
    registers.CURRENT_LIMIT,
    registers.TORQUE_ENABLE,
    registers.STATUS_RETURN_LEVEL,
    registers.GOAL_CURRENT,
    registers.GOAL_POSITION,
)

Measure = Callable[[], tuple[Array, Array, Array]]
"""Gives position [rad], velocity [rad/s] and current [A] of all servos, each (n_actuators,)."""


class Servo:
    """One servo's control table, and what it lets be done to it."""

    def __init__(self, id: int, model: Model) -> None:
        self._table = bytearray(TABLE_SIZE)
        self._writable = {
            address for r in _WRITABLE for address in range(r.address, r.address + r.size)
        }
        self.set(registers.MODEL_NUMBER, model.number)
        self.set(registers.FIRMWARE, _FIRMWARE)
        self.set(registers.ID, id)
        # As they leave the factory: 500 µs, position mode.
        self.set(registers.RETURN_DELAY, 250)
        self.set(registers.OPERATING_MODE, 3)
        self.set(registers.CURRENT_LIMIT, model.current_limit)
        self.set(registers.STATUS_RETURN_LEVEL, 2)
        self.set(registers.GOAL_CURRENT, model.current_limit)

    def get(self, register: Register) -> int:
        """A register's value."""
        return register.unpack(self._table[register.address : register.address + register.size])

    def set(self, register: Register, value: int) -> None:
        """Sets a register from inside, where no rule applies."""
        self._table[register.address : register.address + register.size] = register.pack(value)

    @property
    def alert(self) -> int:
        """The alert bit, as it stands in every status packet."""
        return ALERT if self.get(registers.HARDWARE_ERROR) else 0

    def read(self, address: int, length: int) -> bytes | Fault:
        """Registers from `address` on, or why not."""
        if address + length > TABLE_SIZE:
            return Fault.RANGE
        return bytes(self._table[address : address + length])

    def write(self, address: int, data: bytes) -> Fault | None:
        """Writes registers from `address` on, or says why not."""
        span = range(address, address + len(data))
        if not self._writable.issuperset(span):
            return Fault.ACCESS
        if address < registers.FIRST_RAM and self.get(registers.TORQUE_ENABLE):
            return Fault.ACCESS
        if not self._in_range(address, data):
            return Fault.RANGE
        if address == registers.TORQUE_ENABLE.address and data[0] and self.alert:
            return Fault.RESULT
        self._table[span.start : span.stop] = data
        return None

    def _in_range(self, address: int, data: bytes) -> bool:
        """Whether the values may stand there; only registers written alone are checked."""
        if address == registers.TORQUE_ENABLE.address:
            return data[0] <= 1
        if address == registers.GOAL_CURRENT.address and len(data) == registers.GOAL_CURRENT.size:
            limit = self.get(registers.CURRENT_LIMIT)
            return abs(registers.GOAL_CURRENT.unpack(data)) <= limit
        return True


class ServoBus:
    """All servos of a hand on one half-duplex line.

    Args:
        hand: which servos there are.
        measure: asked for the present state whenever registers are read.

    Attributes:
        servos: by id.
        packets: intact instructions that came so far.
    """

    def __init__(self, hand: Hand, measure: Measure) -> None:
        self._units = Units(hand)
        self._measure = measure
        self._parser = Parser()
        self._ordered = [
            Servo(actuator.servo.id, model)
            for actuator, model in zip(hand.actuators, self._units.models, strict=True)
        ]
        self.servos = {servo.get(registers.ID): servo for servo in self._ordered}
        self.packets = 0

    def receive(self, data: bytes) -> bytes:
        """Takes bytes from the line; returns what the servos answer."""
        answer = b""
        for packet in self._parser.feed(data):
            if packet.instruction != Instruction.STATUS:
                self.packets += 1
                answer += self._perform(packet)
        return answer

    def targets(self) -> Array:
        """Commanded servo angles [rad], (n_actuators,)."""
        goals = [servo.get(registers.GOAL_POSITION) for servo in self._ordered]
        return self._units.angles(np.array(goals, dtype=np.float64))

    def torque_on(self) -> Mask:
        """Servos that pull, (n_actuators,)."""
        return np.array([bool(servo.get(registers.TORQUE_ENABLE)) for servo in self._ordered])

    def _perform(self, packet: Packet) -> bytes:
        parameters = packet.parameters
        if packet.instruction == Instruction.SYNC_READ and len(parameters) >= 4:
            address, length = struct.unpack_from("<HH", parameters)
            self._refresh()
            return b"".join(
                self._answer_read(id, address, length) for id in parameters[4:] if id in self.servos
            )
        if packet.instruction == Instruction.SYNC_WRITE and len(parameters) >= 4:
            self._sync_write(parameters)
            return b""
        if packet.id == BROADCAST:
            if packet.instruction == Instruction.PING:
                return b"".join(self._answer_ping(id) for id in sorted(self.servos))
            return b""
        if packet.id not in self.servos:
            return b""
        return self._perform_alone(packet)

    def _perform_alone(self, packet: Packet) -> bytes:
        """An instruction for one servo."""
        parameters, servo = packet.parameters, self.servos[packet.id]
        match packet.instruction:
            case Instruction.PING:
                return self._answer_ping(packet.id)
            case Instruction.READ if len(parameters) == 4:
                self._refresh()
                return self._answer_read(packet.id, *struct.unpack("<HH", parameters))
            case Instruction.WRITE if len(parameters) > 2:
                (address,) = struct.unpack_from("<H", parameters)
                fault = servo.write(address, parameters[2:])
                return encode_status(packet.id, servo.alert | (fault or 0))
            case Instruction.REBOOT:
                servo.set(registers.HARDWARE_ERROR, 0)
                servo.set(registers.TORQUE_ENABLE, 0)
                return encode_status(packet.id, 0)
            case Instruction.READ | Instruction.WRITE:
                return encode_status(packet.id, servo.alert | Fault.LENGTH)
        return encode_status(packet.id, servo.alert | Fault.INSTRUCTION)

    def _sync_write(self, parameters: bytes) -> None:
        address, length = struct.unpack_from("<HH", parameters)
        rows = parameters[4:]
        if not length or len(rows) % (length + 1):
            return
        for start in range(0, len(rows), length + 1):
            servo = self.servos.get(rows[start])
            if servo is not None:
                servo.write(address, rows[start + 1 : start + 1 + length])

    def _answer_ping(self, id: int) -> bytes:
        servo = self.servos[id]
        model, firmware = servo.get(registers.MODEL_NUMBER), servo.get(registers.FIRMWARE)
        return encode_status(id, servo.alert, struct.pack("<HB", model, firmware))

    def _answer_read(self, id: int, address: int, length: int) -> bytes:
        servo = self.servos[id]
        data = servo.read(address, length)
        if isinstance(data, Fault):
            return encode_status(id, servo.alert | data)
        return encode_status(id, servo.alert, data)

    def _refresh(self) -> None:
        """Puts what the world measures now into the registers."""
        position, velocity, current = self._measure()
        values = zip(
            self._ordered,
            self._units.position_counts(position),
            self._units.velocity_counts(velocity),
            self._units.current_counts(current),
            strict=True,
        )
        for servo, angle, speed, amperes in values:
            servo.set(registers.PRESENT_POSITION, angle)
            servo.set(registers.PRESENT_VELOCITY, speed)
            servo.set(registers.PRESENT_CURRENT, amperes)
