"""The control table of an emulated servo: bytes, registers, and indirect data.

Robotis e-manual, control tables of the X series, Indirect Address and Indirect Data.
"""

from collections.abc import Iterator
from functools import cache

from inhand.hardware.dynamixel import registers
from inhand.hardware.dynamixel.control_table import Entry, control_table, table_size
from inhand.hardware.dynamixel.protocol import Fault
from inhand.hardware.dynamixel.registers import Model, Register

TABLE_SIZE = 662
"""Bytes of the longest control table."""


class RegisterFile:
    """The registers of one servo, with their factory settings.

    Args:
        model: of the servo.
        table: memory for the control table; new memory if not given.

    Attributes:
        model: of the servo.
        entries: its registers, by address.
        table: the bytes.
        size: number of bytes that the model has.
    """

    def __init__(self, model: Model, table: memoryview | None = None) -> None:
        self.model, self.entries, self.size = model, control_table(model), table_size(model)
        self._backup = b""
        self._direct = min(_pointers(model))
        self.table = memoryview(bytearray(TABLE_SIZE)) if table is None else table
        for entry in self.entries.values():
            self.set(entry.register, entry.default or 0)

    def get(self, register: Register) -> int:
        """A register's value."""
        return register.unpack(self.table[register.address : register.address + register.size])

    def set(self, register: Register, value: int) -> None:
        """Sets a register without access rules."""
        self.table[register.address : register.address + register.size] = register.pack(value)

    @property
    def has_backup(self) -> bool:
        """Whether a control table is stored."""
        return bool(self._backup)

    def back_up(self) -> Fault | None:
        """Stores the control table; returns the fault if torque is on, or the model cannot."""
        can = registers.BACKUP_READY.address in self.entries
        if not can or self.get(registers.TORQUE_ENABLE):
            return Fault.RESULT
        self._backup = bytes(self.table[: self.size])
        self.set(registers.BACKUP_READY, 1)
        return None

    def restore(self) -> Fault | None:
        """Restores the stored control table; returns the fault if torque is on or none is stored.

        The id, the goal position and measured values stay as they are.
        """
        if self.get(registers.TORQUE_ENABLE) or not self._backup:
            return Fault.RESULT
        for entry in self.entries.values():
            register = entry.register
            if entry.writable and register not in (registers.ID, registers.GOAL_POSITION):
                span = slice(register.address, register.address + register.size)
                self.table[span] = self._backup[span]
        return None

    def read(self, address: int, length: int) -> bytes | Fault:
        """Registers from `address` on, or the fault; 0 at addresses without a register."""
        if address + length > self.size:
            return Fault.ACCESS
        if address + length <= self._direct:
            return bytes(self.table[address : address + length])
        return bytes(self.table[self._target(x)] for x in range(address, address + length))

    def _target(self, address: int) -> int:
        """The address that a byte of indirect data stands for; other addresses as they are."""
        pointer = _pointers(self.model).get(address)
        return address if pointer is None else self.get(pointer)

    def pieces(self, address: int, data: bytes) -> list[tuple[Entry, int]] | Fault:
        """The registers that a write covers, each with its value; or the fault."""
        if address + len(data) > self.size:
            return Fault.ACCESS
        if address + len(data) <= self._direct:
            runs = [(address, data)]
        else:
            runs = list(self._runs(address, data))
        pieces = []
        for start, part in runs:
            at = 0
            while at < len(part):
                entry = self.entries.get(start + at)
                if entry is None:
                    return Fault.ACCESS
                size = entry.register.size
                if at + size > len(part):
                    return Fault.LENGTH
                pieces.append((entry, entry.register.unpack(part[at : at + size])))
                at += size
        return pieces

    def _runs(self, address: int, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Splits a write to indirect data into writes to successive addresses."""
        start, part, last = -1, b"", -1
        for i, byte in enumerate(data):
            target = self._target(address + i)
            if target != last + 1 or start < 0:
                if part:
                    yield start, part
                start, part = target, b""
            part, last = part + bytes((byte,)), target
        yield start, part


@cache
def _pointers(model: Model) -> dict[int, Register]:
    """The indirect address register of each byte of indirect data."""
    # Their factory settings are the addresses of the data themselves.
    return {
        entry.default or 0: entry.register
        for entry in control_table(model).values()
        if entry.name.startswith("indirect address")
    }
