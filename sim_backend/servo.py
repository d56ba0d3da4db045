"""One emulated servo: its control table, and the rules of access to it."""

from inhand.hardware.dynamixel import registers
from inhand.hardware.dynamixel.control_table import control_table
from inhand.hardware.dynamixel.protocol import ALERT, Fault
from inhand.hardware.dynamixel.registers import Model, Register

TABLE_SIZE = 147
"""Bytes of the control table."""
_FIRMWARE = 50
_BAUDS = {value: baud for baud, value in registers.BAUD_RATES.items()}
_GOALS = frozenset(range(100, registers.GOAL_POSITION.address + registers.GOAL_POSITION.size))
"""Addresses of the goals of PWM, current, velocity and position, and of the motion profile."""


class Servo:
    """The registers of one servo.

    Args:
        id: on the bus.
        model: its model.
        table: memory for its control table; new memory if not given.

    Attributes:
        held: goal position while the bus watchdog is tripped, in place of the register [counts].
        turns: whole turns that its position register counts in addition to the joint's angle; a
            reboot clears them.
    """

    def __init__(self, id: int, model: Model, table: memoryview | None = None) -> None:
        self.held = self.turns = 0
        self._model = model
        self._table = memoryview(bytearray(TABLE_SIZE)) if table is None else table
        entries = [e for e in control_table(model).values() if e.register.address < TABLE_SIZE]
        self._writable = {
            address
            for e in entries
            if e.writable
            for address in range(e.register.address, e.register.address + e.register.size)
        }
        for entry in entries:
            self.set(entry.register, entry.default or 0)
        self.set(registers.MODEL_NUMBER, model.number)
        self.set(registers.FIRMWARE, _FIRMWARE)
        self.set(registers.ID, id)
        self.set(registers.INPUT_VOLTAGE, 120 if model.stall_torque > 1 else 50)
        self.set(registers.TEMPERATURE, 30)

    def get(self, register: Register) -> int:
        """A register's value."""
        return register.unpack(self._table[register.address : register.address + register.size])

    def set(self, register: Register, value: int) -> None:
        """Sets a register without access rules."""
        self._table[register.address : register.address + register.size] = register.pack(value)

    @property
    def baud(self) -> int:
        """Baud rate [bit/s]."""
        return _BAUDS.get(self.get(registers.BAUD_RATE), 0)

    @property
    def return_delay(self) -> float:
        """Delay before a status packet [s]."""
        return 2e-6 * self.get(registers.RETURN_DELAY)

    @property
    def alert(self) -> int:
        """The alert bit of every status packet."""
        return ALERT if self.get(registers.HARDWARE_ERROR) else 0

    @property
    def stopped(self) -> bool:
        """Whether the bus watchdog has tripped: motion has ended, goals cannot be written."""
        return self.get(registers.BUS_WATCHDOG) == registers.WATCHDOG_TRIPPED

    @property
    def goal(self) -> int:
        """Effective goal position [counts]."""
        return self.held if self.stopped else self.get(registers.GOAL_POSITION)

    def reboot(self) -> None:
        """Reboots: registers outside of EEPROM are as after power-up."""
        for entry in control_table(self._model).values():
            at = entry.register.address
            if registers.FIRST_RAM <= at < registers.REALTIME_TICK.address:
                self.set(entry.register, entry.default or 0)
        for goal, limit in (
            (registers.GOAL_CURRENT, registers.CURRENT_LIMIT),
            (registers.GOAL_PWM, registers.PWM_LIMIT),
        ):
            self.set(goal, self.get(limit))
        self.forget_turns()

    def forget_turns(self) -> None:
        """Reduces the position to one turn, as after power-up."""
        position = self.get(registers.PRESENT_POSITION)
        self.turns -= position // registers.COUNTS
        self.set(registers.PRESENT_POSITION, position % registers.COUNTS)

    def protect(self, error: int) -> None:
        """Sets a hardware error; torque goes off if the shutdown register contains that error."""
        self.set(registers.HARDWARE_ERROR, self.get(registers.HARDWARE_ERROR) | error)
        if error & self.get(registers.SHUTDOWN):
            self.set(registers.TORQUE_ENABLE, 0)

    def watchdog_due(self, seconds: float) -> bool:
        """Whether the bus watchdog trips after `seconds` without a packet [s]."""
        steps = self.get(registers.BUS_WATCHDOG)
        armed = steps > 0 and bool(self.get(registers.TORQUE_ENABLE))
        return armed and seconds > steps * registers.WATCHDOG_UNIT

    def stop(self) -> None:
        """Trips the bus watchdog: the servo holds its present position."""
        self.held = self.get(registers.PRESENT_POSITION)
        self.set(registers.BUS_WATCHDOG, registers.WATCHDOG_TRIPPED)

    def read(self, address: int, length: int) -> bytes | Fault:
        """Registers from `address` on, or the fault."""
        if address + length > TABLE_SIZE:
            return Fault.RANGE
        return bytes(self._table[address : address + length])

    def write(self, address: int, data: bytes) -> Fault | None:
        """Writes registers from `address` on; returns the fault if it is refused."""
        span = range(address, address + len(data))
        if not self._writable.issuperset(span):
            return Fault.ACCESS
        if address < registers.FIRST_RAM and self.get(registers.TORQUE_ENABLE):
            return Fault.ACCESS
        if not self._in_range(address, data):
            return Fault.RANGE
        if self.stopped and not _GOALS.isdisjoint(span):
            return Fault.RANGE
        if address == registers.TORQUE_ENABLE.address and data[0] and self.alert:
            return Fault.RESULT
        self._table[span.start : span.stop] = data
        return None

    def _in_range(self, address: int, data: bytes) -> bool:
        """Whether the values are in range; only registers written alone are checked."""
        if address == registers.TORQUE_ENABLE.address:
            return data[0] <= 1
        if address == registers.BUS_WATCHDOG.address:
            return data[0] <= 127
        if address == registers.GOAL_CURRENT.address and len(data) == registers.GOAL_CURRENT.size:
            limit = self.get(registers.CURRENT_LIMIT)
            return abs(registers.GOAL_CURRENT.unpack(data)) <= limit
        return True
