"""One emulated servo: its control table, and the rules of access to it."""

from inhand.hardware.dynamixel import registers
from inhand.hardware.dynamixel.protocol import ALERT, Fault
from inhand.hardware.dynamixel.registers import Model, Register

TABLE_SIZE = 147
"""Bytes of the control table."""
_FIRMWARE = 50
_WRITABLE = (
    registers.ID,
    registers.RETURN_DELAY,
    registers.OPERATING_MODE,
    registers.TEMPERATURE_LIMIT,
    registers.CURRENT_LIMIT,
    registers.SHUTDOWN,
    registers.TORQUE_ENABLE,
    registers.STATUS_RETURN_LEVEL,
    registers.BUS_WATCHDOG,
    registers.GOAL_PWM,
    registers.GOAL_POSITION,
    registers.BAUD_RATE,
    registers.POSITION_D,
    registers.POSITION_I,
    registers.POSITION_P,
)
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
        self._table = memoryview(bytearray(TABLE_SIZE)) if table is None else table
        self._writable = {
            address for r in _WRITABLE for address in range(r.address, r.address + r.size)
        }
        if model.current_control:
            goal = registers.GOAL_CURRENT
            self._writable.update(range(goal.address, goal.address + goal.size))
        self.set(registers.MODEL_NUMBER, model.number)
        self.set(registers.FIRMWARE, _FIRMWARE)
        self.set(registers.ID, id)
        # Factory settings: 500 µs, position mode.
        self.set(registers.RETURN_DELAY, 250)
        self.set(registers.OPERATING_MODE, 3)
        self.set(registers.TEMPERATURE_LIMIT, model.hottest)
        self.set(registers.CURRENT_LIMIT, model.current_limit)
        # Overload, electrical shock and overheating.
        self.set(registers.SHUTDOWN, 0x34)
        self.set(registers.STATUS_RETURN_LEVEL, 2)
        self.set(registers.GOAL_CURRENT, model.current_limit)
        self.set(registers.GOAL_PWM, registers.FULL_PWM)
        self.set(registers.BAUD_RATE, registers.BAUD_RATES[57600])
        self.set(registers.POSITION_P, 800)
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
        for register in (registers.HARDWARE_ERROR, registers.TORQUE_ENABLE, registers.BUS_WATCHDOG):
            self.set(register, 0)
        self.set(registers.GOAL_CURRENT, self.get(registers.CURRENT_LIMIT))
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
