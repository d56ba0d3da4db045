"""One emulated servo: its control table, and the rules of access to it.

Robotis e-manual, control tables of the X series, and "DYNAMIXEL Protocol 2.0", Status Packet.
"""

from inhand.hardware.dynamixel import registers
from inhand.hardware.dynamixel.control_table import Entry
from inhand.hardware.dynamixel.models import CURRENT_BASED_POSITION, POSITION
from inhand.hardware.dynamixel.protocol import ALERT, Fault
from inhand.hardware.dynamixel.registers import COUNTS, Model, Register
from inhand.sim_backend.profile import Profile, Spin
from inhand.sim_backend.register_file import RegisterFile
from inhand.sim_backend.servo_rules import rule_broken

RESET_ALL, RESET_BUT_ID, RESET_BUT_ID_AND_BAUD = b"\xff", b"\x01", b"\x02"
"""Options of a factory reset."""

_FIRMWARE = 50
_DELAY, _ERROR = registers.RETURN_DELAY.address, registers.HARDWARE_ERROR.address
_TIMED_PROFILE, _REVERSED, _TORQUE_BY_GOAL = 4, 1, 8
"""Bits of the drive mode."""
_TORQUE_AT_START = 1
"""Bit of the startup configuration."""
_VELOCITY, _EXTENDED = 1, 4
"""Operating modes: velocity control, and position control over several turns."""
_POSITION_MODES = POSITION, _EXTENDED, CURRENT_BASED_POSITION
_NARROW_OFFSET = 1024
"""Largest homing offset that counts in position mode [counts]."""
_SETTINGS = frozenset({registers.OPERATING_MODE.address, registers.DRIVE_MODE.address})
_SHARED = registers.BAUD_RATE, registers.PROTOCOL
"""What both axes in one housing have in common."""
_GOALS = frozenset(
    register.address
    for register in (
        registers.GOAL_PWM,
        registers.GOAL_CURRENT,
        registers.GOAL_VELOCITY,
        registers.GOAL_POSITION,
    )
)
_MEASURED = frozenset(range(registers.REALTIME_TICK.address, registers.BACKUP_READY.address))
"""Addresses that a restart does not change."""


class Servo(RegisterFile):
    """The registers of one servo, and what it does when they are written.

    Args:
        id: on the bus.
        model: its model.
        table: memory for its control table; new memory if not given.

    Attributes:
        held: goal position while the bus watchdog is tripped, in place of the register [counts].
        turns: whole turns that its encoder counts in addition to the joint's angle; a reboot clears
            them.
        profile: its setpoint on the way to the goal; None if it is at the goal.
        registered: address and data of a write that waits for an action; None if there is none.
        other_axis: the other axis in its housing; None if it has none.
        factory_id: the id that it has from the factory.
    """

    def __init__(self, id: int, model: Model, table: memoryview | None = None) -> None:
        super().__init__(model, table)
        self.held = self.turns = 0
        self.profile: Profile | Spin | None = None
        self.registered: tuple[int, bytes] | None = None
        self.other_axis: Servo | None = None
        self.factory_id = 1
        self.set(registers.FIRMWARE, _FIRMWARE)
        self.set(registers.ID, id)
        self.set(registers.INPUT_VOLTAGE, round(model.series.supply / registers.VOLTAGE_UNIT))
        self.set(registers.TEMPERATURE, 30)

    @property
    def baud(self) -> int:
        """Baud rate [bit/s]."""
        value = self.get(registers.BAUD_RATE)
        return next((baud for baud, number in self.model.bauds.items() if number == value), 0)

    @property
    def return_delay(self) -> float:
        """Delay before a status packet [s]."""
        return 2e-6 * self.table[_DELAY]

    @property
    def alert(self) -> int:
        """The alert bit of every status packet."""
        return ALERT if self.table[_ERROR] else 0

    @property
    def stopped(self) -> bool:
        """Whether the bus watchdog has tripped: motion has ended, goals cannot be written."""
        return self.get(registers.BUS_WATCHDOG) == registers.WATCHDOG_TRIPPED

    @property
    def goal(self) -> float:
        """Effective setpoint [counts]."""
        if self.stopped:
            return self.held
        return self.get(registers.GOAL_POSITION) if self.profile is None else self.profile.position

    @property
    def direction(self) -> int:
        """1, or -1 if the drive mode reverses positions, velocities and currents."""
        return -1 if self.get(registers.DRIVE_MODE) & _REVERSED else 1

    @property
    def offset(self) -> int:
        """What the position register adds to the encoder's count [counts]."""
        offset = self.get(registers.HOMING_OFFSET)
        if self.get(registers.OPERATING_MODE) == POSITION and abs(offset) > _NARROW_OFFSET:
            offset = 0
        # Reversed positions are mirrored about the middle of a turn.
        return offset + (COUNTS if self.direction < 0 else 0)

    def joint_count(self, position: int) -> int:
        """The encoder's count of a position register, without whole turns [counts]."""
        return self.direction * (position - self.offset) - COUNTS * self.turns

    def follow(self, dt: float) -> None:
        """Advances its profile by `dt` [s]."""
        assert self.profile is not None
        self.profile.advance(dt)
        if self.profile.ended:
            self.profile = None

    def reboot(self) -> None:
        """Reboots: registers outside of EEPROM are as after power-up."""
        for address, entry in self.entries.items():
            if not entry.in_eeprom and address not in _MEASURED:
                self.set(entry.register, entry.default or 0)
        self.registered = self.profile = None
        for entry in self.entries.values():
            if entry.bound is not None:
                self.set(entry.register, self.get(entry.bound))
        self.set(registers.BACKUP_READY, int(self.has_backup))
        self.forget_turns()
        self.set(registers.GOAL_POSITION, self.get(registers.PRESENT_POSITION))
        self.set(registers.TORQUE_ENABLE, self.get(registers.STARTUP) & _TORQUE_AT_START)

    def factory_reset(self, option: bytes) -> Fault | None:
        """Sets EEPROM to the factory settings, and reboots; returns the fault if it is refused.

        Args:
            option: one of `RESET_ALL`, `RESET_BUT_ID` and `RESET_BUT_ID_AND_BAUD`.
        """
        if option not in (RESET_ALL, RESET_BUT_ID, RESET_BUT_ID_AND_BAUD):
            return Fault.RANGE
        kept = {registers.MODEL_INFORMATION, registers.FIRMWARE}
        kept |= set() if option == RESET_ALL else {registers.ID}
        kept |= {registers.BAUD_RATE} if option == RESET_BUT_ID_AND_BAUD else set()
        for entry in self.entries.values():
            if entry.in_eeprom and entry.register not in kept:
                self.set(entry.register, entry.default or 0)
        if registers.ID not in kept:
            self.set(registers.ID, self.factory_id)
        if self.other_axis is not None:
            for register in _SHARED:
                self.other_axis.set(register, self.get(register))
        self.reboot()
        return None

    def clear_turns(self) -> Fault | None:
        """Reduces the position to one turn, unless the servo moves; returns the fault then."""
        if self.get(registers.MOVING):
            return Fault.RESULT
        self.forget_turns()
        return None

    def forget_turns(self) -> None:
        """Reduces the position to one turn, as after power-up."""
        self._count_from(self._encoder)

    @property
    def _encoder(self) -> int:
        """The encoder's count of the present position [counts]."""
        return self.direction * (self.get(registers.PRESENT_POSITION) - self.offset)

    def _count_from(self, encoder: int) -> None:
        """Reduces the encoder's count to one turn."""
        self.turns -= encoder // COUNTS
        self.set(registers.PRESENT_POSITION, self.direction * (encoder % COUNTS) + self.offset)

    def protect(self, error: int) -> None:
        """Sets a hardware error; torque goes off if the shutdown register contains that error."""
        self.set(registers.HARDWARE_ERROR, self.get(registers.HARDWARE_ERROR) | error)
        if error & self.get(registers.SHUTDOWN):
            self.set(registers.TORQUE_ENABLE, 0)
            self.profile = None

    def watchdog_due(self, seconds: float) -> bool:
        """Whether the bus watchdog trips after `seconds` without a packet [s]."""
        steps = self.get(registers.BUS_WATCHDOG)
        armed = steps > 0 and bool(self.get(registers.TORQUE_ENABLE))
        return armed and seconds > steps * registers.WATCHDOG_UNIT

    def stop(self) -> None:
        """Trips the bus watchdog: the servo holds its present position."""
        self.held, self.profile = self.get(registers.PRESENT_POSITION), None
        self.set(registers.BUS_WATCHDOG, registers.WATCHDOG_TRIPPED)

    def write(self, address: int, data: bytes) -> Fault | None:
        """Writes registers from `address` on; returns the fault if it is refused."""
        pieces = self._accepted(address, data)
        if isinstance(pieces, Fault):
            return pieces
        for entry, value in pieces:
            self._take(entry.register, value)
        return None

    def register(self, address: int, data: bytes) -> Fault | None:
        """Keeps a write for a later action; returns the fault if it is refused."""
        pieces = self._accepted(address, data)
        if isinstance(pieces, Fault):
            return pieces
        self.registered = address, data
        self.set(registers.REGISTERED_INSTRUCTION, 1)
        return None

    def take_registered(self) -> tuple[int, bytes]:
        """Address and data of the write that waits for an action, which has come."""
        assert self.registered is not None
        kept, self.registered = self.registered, None
        self.set(registers.REGISTERED_INSTRUCTION, 0)
        return kept

    def _accepted(self, address: int, data: bytes) -> list[tuple[Entry, int]] | Fault:
        """The registers of a write with their values, or why it is refused as a whole."""
        pieces = self.pieces(address, data)
        if isinstance(pieces, Fault):
            return pieces
        faults = (self._refused(entry, value) for entry, value in pieces)
        return next((fault for fault in faults if fault), pieces)

    def _refused(self, entry: Entry, value: int) -> Fault | None:
        """Why a register does not take a value; None if it does."""
        address = entry.register.address
        if not entry.writable:
            return Fault.ACCESS
        axes = (self,) if self.other_axis is None else (self, self.other_axis)
        if entry.in_eeprom and any(one.table[registers.TORQUE_ENABLE.address] for one in axes):
            return Fault.ACCESS
        if address in _GOALS and self.stopped:
            return Fault.RANGE
        if address == registers.TORQUE_ENABLE.address and value == 1:
            shut_down = self.get(registers.HARDWARE_ERROR) & self.get(registers.SHUTDOWN)
            return Fault.RESULT if shut_down else None
        return rule_broken(self.get, self.model, entry, value)

    def _take(self, register: Register, value: int) -> None:
        """Sets a register, with all that follows from it."""
        address, encoder = register.address, self._encoder
        if address in _GOALS and self.get(registers.DRIVE_MODE) & _TORQUE_BY_GOAL:
            self._switch(1)
        if address == registers.GOAL_POSITION.address:
            self._aim(value)
        elif address == registers.GOAL_VELOCITY.address:
            self._spin(value)
        elif address == registers.TORQUE_ENABLE.address:
            self._switch(value)
        self.set(register, value)
        if self.other_axis is not None and register in _SHARED:
            self.other_axis.set(register, value)
        if address in _SETTINGS:
            self._count_from(encoder)

    def _switch(self, on: int) -> None:
        """Switches torque; the goal is the present position when it goes on."""
        if on and not self.get(registers.TORQUE_ENABLE):
            if self.get(registers.OPERATING_MODE) == POSITION:
                self.forget_turns()
            self.set(registers.GOAL_POSITION, self.get(registers.PRESENT_POSITION))
        if not on or not self.get(registers.TORQUE_ENABLE):
            self.profile = None
        self.set(registers.TORQUE_ENABLE, on)

    def _aim(self, goal: int) -> None:
        """Begins a profile to a new goal, if there is a profile velocity and torque."""
        top = self.get(registers.PROFILE_VELOCITY)
        position = self.get(registers.OPERATING_MODE) in _POSITION_MODES
        if not top or not position or not self.get(registers.TORQUE_ENABLE):
            self.profile = None
            return
        velocity = 0.0 if self.profile is None else self.profile.velocity
        self.profile = Profile(
            self.goal,
            velocity,
            goal,
            top=top,
            rate=self.get(registers.PROFILE_ACCELERATION),
            timed=bool(self.get(registers.DRIVE_MODE) & _TIMED_PROFILE),
        )

    def _spin(self, goal: int) -> None:
        """Turns at a velocity, in velocity control mode with torque."""
        mode, on = self.get(registers.OPERATING_MODE), self.get(registers.TORQUE_ENABLE)
        if mode == _VELOCITY and on:
            velocity = 0.0 if self.profile is None else self.profile.velocity
            rate = self.get(registers.PROFILE_ACCELERATION)
            self.profile = Spin(self.goal, velocity, goal, rate)
