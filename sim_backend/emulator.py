"""Emulated Dynamixel servos on a serial line: instruction packets in, status packets out."""

import struct
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from inhand.hardware.dynamixel import registers
from inhand.hardware.dynamixel.fast_read import encode_reply, reply_header
from inhand.hardware.dynamixel.protocol import (
    BROADCAST,
    Fault,
    Instruction,
    Packet,
    Parser,
    encode_status,
)
from inhand.hardware.dynamixel.registers import COUNTS, Units
from inhand.hardware.model.hand import Hand
from inhand.hardware.records import Array
from inhand.sim_backend.heat import OVERLOAD_TIME, Heat
from inhand.sim_backend.servo import TABLE_SIZE, Servo
from inhand.sim_backend.servo_dynamics import Mask

Measure = Callable[[], tuple[Array, Array, Array]]
"""Returns position [rad], velocity [rad/s] and current [A] of all servos, each (n_actuators,)."""
_GOAL = slice(registers.GOAL_POSITION.address, registers.GOAL_POSITION.address + 4)
_CURRENT = slice(registers.PRESENT_CURRENT.address, registers.PRESENT_CURRENT.address + 2)
_MEASURED = slice(registers.MEASURED[0], sum(registers.MEASURED))
_TRIPPED = registers.WATCHDOG_TRIPPED & 0xFF


class ServoBus:
    """All servos of a hand on one half-duplex line.

    Args:
        hand: defines the servos.
        measure: called for the present state before registers are read.

    Attributes:
        servos: by id.
        packets: number of intact instruction packets received.
        outside: goals that moved a joint further outside its limits: beyond its limit, its last
            read position and its previous goal. As (servo id, goal in counts).
        stopped_after: time without a packet after which a bus watchdog tripped last [s].
        delay: sum of the return delays in the last answer [s].
        heat: thermal model of the servos.
    """

    def __init__(self, hand: Hand, measure: Measure) -> None:
        self._units = Units(hand)
        self._measure = measure
        self._parser = Parser()
        self._table = np.zeros((hand.n_actuators, TABLE_SIZE), np.uint8)
        self._ordered = [
            Servo(actuator.on_bus.id, model, row.data)
            for actuator, model, row in zip(
                hand.actuators, self._units.models, self._table, strict=True
            )
        ]
        self.servos = {servo.get(registers.ID): servo for servo in self._ordered}
        self.packets = 0
        self.outside: list[tuple[int, int]] = []
        self._last_goal: dict[int, int] = {}
        self.stopped_after = 0.0
        self._silence = 0.0
        self.delay = 0.0
        self.heat = Heat(hand.n_actuators)
        self._largest = np.array([m.current_limit * m.current_unit for m in self._units.models])
        ends = self._units.position_counts(hand.lower), self._units.position_counts(hand.upper)
        self._limits = {
            servo.get(registers.ID): (min(both), max(both))
            for servo, both in zip(self._ordered, zip(*ends, strict=True), strict=True)
        }

    def receive(self, data: bytes, speed: int | None = None) -> bytes:
        """Takes bytes from the line; returns the answer of the servos.

        Args:
            data: received bytes.
            speed: baud rate of these bytes: servos with another baud rate do not answer. None if
                the line has no baud rate.
        """
        answer, self.delay = b"", 0.0
        mismatched = {
            id: s for id, s in self.servos.items() if speed is not None and s.baud != speed
        }
        if len(mismatched) == len(self.servos):
            return b""
        for id in mismatched:
            del self.servos[id]
        answer = self._process(data)
        self.servos |= mismatched
        return answer

    def _process(self, data: bytes) -> bytes:
        answer = b""
        for packet in self._parser.feed(data):
            if packet.instruction != Instruction.STATUS:
                self.packets += 1
                self._silence = 0.0
                answer += self._perform(packet)
        return answer

    def advance(self, dt: float) -> bool:
        """Advances time by `dt` [s] without a packet; returns whether a servo stopped."""
        steps = int(self._silence / registers.WATCHDOG_UNIT)
        self._silence += dt
        # The watchdogs count in steps; between two of them there is nothing to do.
        if int(self._silence / registers.WATCHDOG_UNIT) == steps:
            return False
        due = [servo for servo in self._ordered if servo.watchdog_due(self._silence)]
        if due:
            self._refresh()
            self.stopped_after = self._silence
        for servo in due:
            servo.stop()
        return bool(due)

    def warm(self, dt: float) -> bool:
        """Advances the thermal model by `dt` [s]; returns whether a servo has shut down.

        It uses the currents of the last measurement.
        """
        counts = np.ascontiguousarray(self._table[:, _CURRENT]).view("<i2")[:, 0]
        self.heat.advance(np.abs(self._units.currents(counts)) / self._largest, dt)
        self._table[:, registers.TEMPERATURE.address] = self.heat.temperature
        limits = self._table[:, registers.TEMPERATURE_LIMIT.address]
        errors = {
            registers.OVERHEATED: self.heat.temperature >= limits,
            registers.OVERLOADED: self.heat.loaded >= OVERLOAD_TIME,
        }
        for error, which in errors.items():
            for place in np.flatnonzero(which).tolist():
                self._ordered[place].protect(error)
        return any(which.any() for which in errors.values())

    def targets(self) -> Array:
        """Commanded servo angles [rad], (n_actuators,)."""
        goals = np.ascontiguousarray(self._table[:, _GOAL]).view("<i4")[:, 0]
        stopped = self._table[:, registers.BUS_WATCHDOG.address] == _TRIPPED
        if stopped.any():
            goals = np.array([servo.goal for servo in self._ordered])
        return self._units.angles(goals.astype(np.float64) - self._turned())

    @property
    def in_order(self) -> list[Servo]:
        """The servos in actuator order, also if their ids have changed."""
        return self._ordered

    def torque_on(self) -> Mask:
        """Servos with torque, (n_actuators,)."""
        on: Mask = self._table[:, registers.TORQUE_ENABLE.address] != 0
        return on

    def _perform(self, packet: Packet) -> bytes:
        parameters = packet.parameters
        if packet.instruction == Instruction.SYNC_READ and len(parameters) >= 4:
            address, length = struct.unpack_from("<HH", parameters)
            self._refresh()
            return b"".join(
                self._answer_read(id, address, length) for id in parameters[4:] if id in self.servos
            )
        if packet.instruction == Instruction.FAST_SYNC_READ and len(parameters) >= 4:
            address, length = struct.unpack_from("<HH", parameters)
            return self._answer_fast(address, length, parameters[4:])
        if packet.instruction == Instruction.SYNC_WRITE and len(parameters) >= 4:
            self._sync_write(parameters)
            return b""
        if packet.instruction == Instruction.BULK_READ:
            self._refresh()
            spans = struct.iter_unpack("<BHH", parameters[: len(parameters) // 5 * 5])
            return b"".join(self._answer_read(*span) for span in spans if span[0] in self.servos)
        if packet.instruction == Instruction.BULK_WRITE:
            self._bulk_write(parameters)
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
                fault = self._write(servo, address, parameters[2:])
                # A new id is valid at once, after the reply.
                self.servos[servo.get(registers.ID)] = self.servos.pop(packet.id)
                return self._status(servo, packet.id, servo.alert | (fault or 0))
            case Instruction.REBOOT:
                self._refresh()
                servo.reboot()
                return self._status(servo, packet.id, 0)
            case Instruction.CLEAR:
                self._refresh()
                servo.forget_turns()
                return self._status(servo, packet.id, servo.alert)
            case Instruction.READ | Instruction.WRITE:
                return self._status(servo, packet.id, servo.alert | Fault.LENGTH)
        return self._status(servo, packet.id, servo.alert | Fault.INSTRUCTION)

    def _sync_write(self, parameters: bytes) -> None:
        address, length = struct.unpack_from("<HH", parameters)
        rows = parameters[4:]
        if not length or len(rows) % (length + 1):
            return
        for start in range(0, len(rows), length + 1):
            servo = self.servos.get(rows[start])
            if servo is not None:
                self._write(servo, address, rows[start + 1 : start + 1 + length])

    def _bulk_write(self, parameters: bytes) -> None:
        while len(parameters) >= 5:
            id, address, length = struct.unpack_from("<BHH", parameters)
            data, parameters = parameters[5 : 5 + length], parameters[5 + length :]
            if id in self.servos and len(data) == length:
                self._write(self.servos[id], address, data)

    def _write(self, servo: Servo, address: int, data: bytes) -> Fault | None:
        goal = registers.GOAL_POSITION
        if address == goal.address and len(data) == goal.size:
            id, turned = servo.get(registers.ID), COUNTS * servo.turns
            count, present = goal.unpack(data) - turned, servo.get(registers.PRESENT_POSITION)
            # A joint outside its limits may stay where it is, or move back.
            low, high = self._limits[id]
            here = present - turned, self._last_goal.get(id, present - turned)
            low, high = min(low, *here), max(high, *here)
            self._last_goal[id] = count
            # One count of tolerance, as the limits are not whole counts.
            if not low - 1 <= count <= high + 1:
                self.outside.append((id, count))
        return servo.write(address, data)

    def _answer_fast(self, address: int, length: int, ids: bytes) -> bytes:
        """The reply of a fast sync read; it breaks off at a missing servo, as the others wait."""
        self._refresh()
        blocks = []
        for id in ids:
            data = self.servos[id].read(address, length) if id in self.servos else None
            if not isinstance(data, bytes):
                break
            blocks.append((id, self.servos[id].alert, data))
            # The return delays of all servos run at the same time.
            self.delay = max(self.delay, self.servos[id].return_delay)
        return b"".join(encode_reply(reply_header(len(ids), length), blocks))

    def _answer_ping(self, id: int) -> bytes:
        servo = self.servos[id]
        model, firmware = servo.get(registers.MODEL_NUMBER), servo.get(registers.FIRMWARE)
        return self._status(servo, id, servo.alert, struct.pack("<HB", model, firmware))

    def _answer_read(self, id: int, address: int, length: int) -> bytes:
        servo = self.servos[id]
        data = servo.read(address, length)
        if isinstance(data, Fault):
            return self._status(servo, id, servo.alert | data)
        return self._status(servo, id, servo.alert, data)

    def _status(self, servo: Servo, id: int, error: int, data: bytes = b"") -> bytes:
        """A status packet of one servo, after its return delay."""
        self.delay += servo.return_delay
        return encode_status(id, error, data)

    def _turned(self) -> NDArray[np.int64]:
        """Offset of each servo's position by whole turns [counts], (n_actuators,)."""
        return np.array([COUNTS * servo.turns for servo in self._ordered], np.int64)

    def _refresh(self) -> None:
        """Writes the present measurements into the registers."""
        position, velocity, current = self._measure()
        units, counts = self._units, np.empty(len(self._ordered), registers.MEASURED_COUNTS)
        counts["position"] = units.position_counts(position) + self._turned()
        counts["velocity"] = units.velocity_counts(velocity)
        counts["current"] = units.current_counts(current)
        self._table[:, _MEASURED] = counts.view(np.uint8).reshape(len(counts), -1)
