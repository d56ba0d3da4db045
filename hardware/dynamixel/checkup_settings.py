"""Diagnosis of the registers of servos: every deviation, with its remedy; nothing is written."""

from collections.abc import Iterator

from inhand.hardware.dynamixel import registers
from inhand.hardware.dynamixel.bus import Bus
from inhand.hardware.dynamixel.checkup_ids import Found, name_of
from inhand.hardware.dynamixel.control_table import Entry, control_table
from inhand.hardware.dynamixel.models import MODELS, Model
from inhand.hardware.dynamixel.settings import (
    SPANS,
    Action,
    Deviation,
    Setting,
    deviations,
    settings,
)
from inhand.hardware.findings import Finding, Verdict
from inhand.hardware.model.hand import Hand

WARM = 60.0
"""Temperature of a servo at which the daemon begins to derate it [°C]."""
_REMEDIES = {
    Action.SET: "nothing to do: the driver sets it at start-up, with torque off",
    Action.REFUSE: "",
    Action.REPORT: "",
}


def check_settings(
    hand: Hand, found: Found, bus: Bus, gains: tuple[int, int, int] | None, torque_share: float
) -> Iterator[Finding]:
    """Findings about the registers of the servos that answer."""
    reader = _Reader(hand, bus)
    left: dict[tuple[int, Action], list[Deviation]] = {}
    errors, hot, voltage, torque = list[str](), list[str](), list[str](), list[str]()
    for actuator in hand.actuators:
        id, model = actuator.on_bus.id, MODELS[actuator.on_bus.model]
        if id not in found or found[id][0] != model.number:
            continue
        name, limit = name_of(hand, id), actuator.torque_limit
        goals = model.torque_goal(torque_share * limit), model.torque_goal(limit)
        for one in reader.deviations(id, model, settings(model, *goals, gains)):
            left.setdefault((one.setting.register.address, one.setting.action), []).append(one)
        if (on := reader.number(id, registers.TORQUE_ENABLE)) and on > 0:
            torque.append(name)
        if error := reader.number(id, registers.HARDWARE_ERROR):
            errors.append(f"{name}: {registers.hardware_error(error)}")
        celsius, volts = (reader.number(id, r) for r in (registers.TEMPERATURE, _VOLTAGE))
        if celsius is not None and celsius >= WARM:
            hot.append(f"{name}: {celsius} °C")
        low, high = model.voltage
        if volts is not None and not low <= registers.VOLTAGE_UNIT * volts <= high:
            told = f"{registers.VOLTAGE_UNIT * volts:.1f} V instead of {low:.1f} to {high:.1f} V"
            voltage.append(f"{name}: {told}")
    for deviating in left.values():
        yield _deviation(hand, deviating)
    if reader.unread:
        yield Finding(
            "registers",
            "bad",
            f"could not be read: {'; '.join(reader.unread)}",
            "their settings are unknown; check the cable, `inhand reboot` the servo, try again",
        )
    elif found and not left:
        yield Finding("registers", "good", "all settings as they should be")
    if torque:
        yield Finding(
            "torque",
            "warning",
            f"on at {', '.join(torque)}",
            "settings are locked while torque is on: `inhand reboot` switches it off; the joints "
            "go limp",
        )
    if not reader.unread:
        yield from _conditions(bool(found), errors, voltage)
    else:
        yield from (f for f in _conditions(bool(found), errors, voltage) if f.verdict != "good")
    if hot:
        yield Finding("temperature", "warning", ", ".join(hot), "let the servos cool down")


_VOLTAGE = registers.INPUT_VOLTAGE


def _conditions(there: bool, errors: list[str], voltage: list[str]) -> Iterator[Finding]:
    if errors:
        yield Finding(
            "hardware errors", "bad", "; ".join(errors), "remove the cause, then `inhand reboot`"
        )
    elif there:
        yield Finding("hardware errors", "good", "none")
    if voltage:
        yield Finding(
            "voltage",
            "bad",
            ", ".join(voltage),
            "check the supply: too weak, its cable too long or thin, or its voltage too high",
        )
    elif there:
        yield Finding("voltage", "good", "within the range of the models")


def _deviation(hand: Hand, deviating: list[Deviation]) -> Finding:
    """One finding for a register that deviates at one or more servos."""
    first = deviating[0].setting
    by_value: dict[str, list[str]] = {}
    for one in deviating:
        by_value.setdefault(one.describe(), []).append(name_of(hand, one.id))
    told = "; ".join(f"{what}, at {', '.join(names)}" for what, names in by_value.items())
    verdict: Verdict = "bad" if first.action is Action.REFUSE else "warning"
    remedy = _REMEDIES[first.action] or first.remedy
    return Finding(first.entry.name, verdict, told, remedy)


class _Reader:
    """Reads registers, and records what could not be read.

    Attributes:
        unread: what was not answered.
    """

    def __init__(self, hand: Hand, bus: Bus) -> None:
        self.unread: list[str] = []
        self._hand, self._bus = hand, bus

    def number(self, id: int, register: registers.Register) -> int | None:
        """A register; None if it was not answered."""
        data = self._read(id, register.address, register.size)
        return None if data is None else register.unpack(data)

    def deviations(self, id: int, model: Model, rows: tuple[Setting, ...]) -> Iterator[Deviation]:
        """Where a servo's registers differ from the settings, and from the factory's addresses."""
        table = bytearray(sum(SPANS[-1]))
        read = set[int]()
        for address, length in SPANS:
            if (data := self._read(id, address, length)) is not None:
                table[address : address + length] = data
                read |= set(range(address, address + length))
        usable = tuple(row for row in rows if row.register.address in read)
        yield from deviations(id, usable, bytes(table))
        yield from self._indirect(id, model)

    def _indirect(self, id: int, model: Model) -> Iterator[Deviation]:
        pointers = [e for e in control_table(model).values() if e.name.startswith(_INDIRECT)]
        for block in _blocks(pointers):
            first, last = block[0].register, block[-1].register
            data = self._read(id, first.address, last.address + last.size - first.address)
            if data is None:
                continue
            for entry in block:
                at, usual = entry.register.address - first.address, entry.default or 0
                value = entry.register.unpack(data[at : at + entry.register.size])
                if value != usual:
                    yield Deviation(id, _pointer(entry, usual), value)

    def _read(self, id: int, address: int, length: int) -> bytes | None:
        for _ in range(2):
            if data := self._bus.read(id, address, length):
                return data
        self.unread.append(f"registers {address} to {address + length - 1} of {self._name(id)}")
        return None

    def _name(self, id: int) -> str:
        return f"servo {name_of(self._hand, id)}"


_INDIRECT = "indirect address"


def _pointer(entry: Entry, usual: int) -> Setting:
    reason = "another program reads or writes through it"
    remedy = "end that program; `inhand reboot` gives the servo the usual addresses"
    return Setting(entry, usual, usual, usual, Action.REPORT, reason, remedy)


def _blocks(entries: list[Entry]) -> Iterator[list[Entry]]:
    """Entries that follow one another in memory."""
    block: list[Entry] = []
    for entry in entries:
        if block and block[-1].register.address + block[-1].register.size != entry.register.address:
            yield block
            block = []
        block.append(entry)
    if block:
        yield block
