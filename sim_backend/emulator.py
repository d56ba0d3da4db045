"""Emulated Dynamixel servos on a serial line: instruction packets in, status packets out."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from inhand.hardware.dynamixel import registers
from inhand.hardware.dynamixel.protocol import Fault, Instruction, Parser
from inhand.hardware.dynamixel.registers import COUNTS, Units
from inhand.hardware.model.hand import Hand
from inhand.hardware.records import Array
from inhand.sim_backend.goal_writer import GoalWriter
from inhand.sim_backend.heat import OVERLOAD_TIME, Heat
from inhand.sim_backend.instructions import Instructions
from inhand.sim_backend.line_members import LineMembers
from inhand.sim_backend.register_file import TABLE_SIZE
from inhand.sim_backend.servo import Servo
from inhand.sim_backend.servo_dynamics import Mask
from inhand.sim_backend.servo_state import ServoState

Measure = Callable[[], tuple[Array, Array, Array]]
"""Returns position [rad], velocity [rad/s] and current [A] of all servos, each (n_actuators,)."""
_ALL = 0, TABLE_SIZE
_TRIPPED = registers.WATCHDOG_TRIPPED & 0xFF
_WRONG_VOLTAGE = 1
"""Bit of the hardware errors: the input voltage is out of range."""
_PROTOCOL_2 = 2
"""Value of the protocol type register; servos with another one do not answer."""


class ServoBus:
    """All servos of a hand on one half-duplex line.

    Args:
        hand: defines the servos.
        measure: called for the present state before registers are read.
        factory: whether all ids are as they come from the factory (1, and 2 for the second axis of
            a housing), not those of the hand.

    Attributes:
        members: the servos that are connected, by the id that each has now.
        packets: number of intact instruction packets received.
        stopped_after: time without a packet after which a bus watchdog tripped last [s].
        delay: sum of the return delays in the last answer [s].
        heat: thermal model of the servos.
    """

    def __init__(self, hand: Hand, measure: Measure, *, factory: bool = False) -> None:
        self._units = Units(hand)
        self._measure = measure
        self._parser = Parser()
        self._table = np.zeros((hand.n_actuators, TABLE_SIZE), np.uint8)
        self._ordered = [
            Servo(1 if factory else actuator.on_bus.id, model, row.data)
            for actuator, model, row in zip(
                hand.actuators, self._units.models, self._table, strict=True
            )
        ]
        _join_axes(self._ordered, factory=factory)
        self._state = ServoState(self._table, self._ordered)
        self.members = LineMembers(self._ordered)
        ends = self._units.position_counts(hand.lower), self._units.position_counts(hand.upper)
        limits = np.sort(ends, axis=0).T
        self._goals = GoalWriter(self.members, self._ordered, self._state, limits)
        self._instructions = Instructions(
            self.members, self._refresh, self._write, self._goals.write
        )
        self.packets = 0
        self.stopped_after = 0.0
        self._silence = 0.0
        self._fresh = False
        self.heat = Heat(hand.n_actuators)
        self._largest = np.array([m.current_limit * m.current_unit for m in self._units.models])

    @property
    def servos(self) -> dict[int, Servo]:
        """The connected servos by id; of several with one id, the first."""
        return self.members.servos

    @property
    def outside(self) -> list[tuple[int, int]]:
        """Goals that moved a joint further outside its limits, as (servo id, goal in counts)."""
        return self._goals.outside

    @property
    def delay(self) -> float:
        """Sum of the return delays in the last answer [s]."""
        return self._instructions.delay

    @property
    def in_order(self) -> list[Servo]:
        """The servos in actuator order, also if their ids have changed."""
        return self._ordered

    def receive(self, data: bytes, speed: int | None = None) -> bytes:
        """Takes bytes from the line; returns the answer of the servos.

        Args:
            data: received bytes.
            speed: baud rate of these bytes: servos with another baud rate do not answer. None if
                the line has no baud rate.
        """
        self._instructions.delay = 0.0
        unreachable = self._unreachable(speed)
        for servo in unreachable:
            self.members.remove(servo)
        answer = b""
        if self.members.servos:
            for packet in self._parser.feed(data):
                if packet.instruction != Instruction.STATUS:
                    self.packets += 1
                    self._silence = 0.0
                    answer += self._instructions.perform(packet)
        for servo in unreachable:
            self.members.add(servo)
        return answer

    def _unreachable(self, speed: int | None) -> list[Servo]:
        """The connected servos that have another baud rate or another protocol."""
        if speed is None and self._state.all_speak(_PROTOCOL_2):
            return []
        return [
            servo
            for servo in self.members
            if servo.get(registers.PROTOCOL) != _PROTOCOL_2
            or (speed is not None and servo.baud != speed)
        ]

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

    def move(self, dt: float) -> bool:
        """Advances the motion profiles by `dt` [s]; returns whether a setpoint has moved.

        Call it in every time step, with packets or without.
        """
        self._fresh = False
        self._state.elapsed += dt
        under_way = [servo for servo in self._ordered if servo.profile is not None]
        for servo in under_way:
            servo.follow(dt)
        return bool(under_way)

    def warm(self, dt: float) -> bool:
        """Advances thermal model and voltages by `dt` [s]; returns whether a servo has shut down.

        It uses the currents of the last measurement.
        """
        counts = self._state.now["current"]
        self.heat.advance(np.abs(self._units.currents(counts)) / self._largest, dt)
        self._table[:, registers.TEMPERATURE.address] = self.heat.temperature
        limits = self._table[:, registers.TEMPERATURE_LIMIT.address]
        errors = {
            registers.OVERHEATED: self.heat.temperature >= limits,
            registers.OVERLOADED: self.heat.loaded >= OVERLOAD_TIME,
            _WRONG_VOLTAGE: self._state.wrong_voltage(),
        }
        for error, which in errors.items():
            for place in np.flatnonzero(which).tolist():
                self._ordered[place].protect(error)
        return any(which.any() for which in errors.values())

    def targets(self) -> Array:
        """Commanded servo angles [rad], (n_actuators,)."""
        goals: NDArray[np.int64] | Array = self._state.goal.astype(np.float64)
        stopped = self._table[:, registers.BUS_WATCHDOG.address] == _TRIPPED
        if stopped.any() or any(servo.profile is not None for servo in self._ordered):
            goals = np.array([servo.goal for servo in self._ordered], np.float64)
        if (frame := self._state.frame()) is not None:
            goals = frame[0] * (goals - frame[1])
        return self._units.angles(goals - self._turned())

    def torque_on(self) -> Mask:
        """Servos with torque, (n_actuators,)."""
        on: Mask = self._table[:, registers.TORQUE_ENABLE.address] != 0
        return on

    def _write(self, servo: Servo, address: int, data: bytes) -> Fault | None:
        goal = registers.GOAL_POSITION
        if address == goal.address and len(data) == goal.size:
            self._goals.note(servo, goal.unpack(data))
        elif address <= registers.TORQUE_ENABLE.address and not self._fresh:
            # A servo whose torque or mode is switched uses its present position.
            self._refresh()
        return servo.write(address, data)

    def _turned(self) -> NDArray[np.int64]:
        """Offset of each servo's position by whole turns [counts], (n_actuators,)."""
        return np.array([COUNTS * servo.turns for servo in self._ordered], np.int64)

    def _refresh(self, span: tuple[int, int] = _ALL) -> None:
        """Writes the present measurements into the registers of a span of addresses."""
        position, velocity, current = self._measure()
        units = self._units
        self._state.measured(
            units.position_counts(position) + self._turned(),
            units.velocity_counts(velocity),
            units.current_counts(current),
            span,
        )
        self._fresh = True


def _join_axes(servos: list[Servo], *, factory: bool) -> None:
    """Puts each two axes of a model with two axes into one housing, in the order of the hand."""
    alone: dict[int, Servo] = {}
    for servo in servos:
        if not servo.model.series.two_axes:
            continue
        first = alone.pop(servo.model.number, None)
        if first is None:
            alone[servo.model.number] = servo
            continue
        first.other_axis, servo.other_axis = servo, first
        servo.factory_id = 2
        if factory:
            servo.set(registers.ID, servo.factory_id)
