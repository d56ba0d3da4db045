"""Maintenance of single servos: scan, set the id, set the baud rate, reboot, restore."""

from collections.abc import Callable, Iterator, Sequence

from inhand.hardware.dynamixel import registers, requests
from inhand.hardware.dynamixel.bus import Bus
from inhand.hardware.dynamixel.control_table import control_table
from inhand.hardware.dynamixel.duplicates import SURE, suspected
from inhand.hardware.dynamixel.models import MODELS, Model
from inhand.hardware.dynamixel.registers import Register
from inhand.hardware.errors import BusError

BAUDS = tuple(sorted(registers.BAUD_RATES, reverse=True))
_PING_TIME = 0.8
_RESTART_TIME = 2.0
_SPAN = registers.RETURN_DELAY.address, registers.FIRST_RAM - registers.RETURN_DELAY.address
"""Address and length of the registers in EEPROM that a restore sets: not id and baud rate."""


def scan(
    port: str, bauds: Sequence[int] = BAUDS, on_doubt: Callable[[str], None] = lambda _: None
) -> Iterator[tuple[int, int, str, int]]:
    """Finds servos at every baud rate; yields baud rate, id, model and firmware of each.

    Args:
        port: device file.
        bauds: baud rates to try.
        on_doubt: called with a message where several servos seem to have one id.

    Raises:
        BusError: the port cannot be opened.
    """
    names = {model.number: name for name, model in MODELS.items()}
    for baud in bauds:
        bus = Bus(port, baud, readonly=True)
        bus.open()
        try:
            packets, garbled = bus.listen(requests.ping(), _PING_TIME, 0.0)
            twice = suspected(bus, sorted({packet.id for packet in packets}))
        finally:
            bus.close()
        if garbled and not twice:
            on_doubt(f"{baud} baud: garbled replies; several servos may have one id")
        for id, seen in twice.items():
            on_doubt(f"{baud} baud: several servos seem to have id {id}: {seen}")
        for packet in sorted(packets, key=lambda packet: packet.id):
            if len(packet.data) == 3:
                number = int.from_bytes(packet.data[:2], "little")
                yield baud, packet.id, names.get(number, f"model {number}"), packet.data[2]


def set_id(bus: Bus, id: int, new: int) -> None:
    """Gives a servo another id.

    Raises:
        BusError: the servo does not answer or refused, the new id is in use or invalid, or two
            servos seem to have one of the two ids.
    """
    if not 0 <= new <= 252:
        raise BusError(f"set-id: {new} is not a valid id; choose one from 0 to 252")
    for one, seen in suspected(bus, (id, new), SURE).items():
        raise BusError(
            f"set-id: two servos seem to have id {one}: {seen}; nothing was changed; disconnect "
            "all but one servo, and give each its own id"
        )
    if bus.ping([new]):
        raise BusError(f"set-id: there is a servo {new} on {bus.port} already; choose another id")
    _write(bus, id, registers.ID, new)
    data = bus.read(new, registers.ID.address, 1)
    if data != bytes((new,)):
        raise BusError(f"set-id: servo {id} accepted id {new} but does not answer; scan the bus")
    if bus.ping([id]):
        raise BusError(
            f"set-id: a servo still answers at id {id}: two servos had it, and one is {new} now"
        )
    if suspected(bus, (new,), SURE):
        raise BusError(
            f"set-id: two servos had id {id}, and both are {new} now; disconnect one of them, then "
            "give the other another id"
        )


def set_baud(bus: Bus, ids: Sequence[int], baud: int) -> None:
    """Sets the baud rate of servos, which do not answer at the old one afterwards.

    Raises:
        BusError: there is no such baud rate, or a servo does not answer or refused.
    """
    if baud not in registers.BAUD_RATES:
        raise BusError(f"set-baud: {baud} is not a baud rate of these servos; choose from {BAUDS}")
    found = bus.ping(ids)
    if missing := [id for id in ids if id not in found]:
        raise BusError(f"set-baud: no answer from servo {missing}; nothing was changed")
    models = {model.number: model for model in MODELS.values()}
    for id, (number, _) in found.items():
        model = models.get(number)
        if model is not None and baud not in model.bauds:
            raise BusError(
                f"set-baud: servo {id} has no baud rate {baud}; it has "
                f"{', '.join(map(str, model.bauds))}; nothing was changed"
            )
    for id in ids:
        _require_no_torque(bus, id)
    for id, (number, _) in found.items():
        model = models.get(number)
        if model is not None and model.series.two_axes and not bus.ping([id]):
            # The other axis of its housing was before it in the list, and both have the new one.
            continue
        _write(bus, id, registers.BAUD_RATE, registers.BAUD_RATES[baud])


def reboot(bus: Bus, ids: Sequence[int]) -> None:
    """Reboots servos; torque and hardware errors are cleared afterwards.

    Raises:
        BusError: a servo does not answer after its reboot, or has its error again.
    """
    found = bus.ping(ids)
    if missing := [id for id in ids if id not in found]:
        raise BusError(f"reboot: no answer from servo {missing} on {bus.port}; nothing was done")
    for id in ids:
        # A servo with status return level 0 reboots without a reply.
        bus.reboot(id)
    _wait(bus, ids, "reboot")


def restore(bus: Bus, ids: Sequence[int]) -> None:
    """Gives servos their factory settings, except id and baud rate; torque is off afterwards.

    Raises:
        BusError: a servo does not answer, is of an unknown model, or keeps another setting.
    """
    models = {model.number: model for model in MODELS.values()}
    found = bus.ping(ids)
    for id in ids:
        if id not in found:
            raise BusError(f"restore: no answer from servo {id} on {bus.port}; nothing was changed")
        if found[id][0] not in models:
            raise BusError(f"restore: servo {id} is of unknown model number {found[id][0]}")
    for id in ids:
        bus.tell(requests.factory_reset(id))
    _wait(bus, ids, "restore")
    for id in ids:
        _require_factory_settings(bus, id, models[found[id][0]])


def _wait(bus: Bus, ids: Sequence[int], what: str) -> None:
    """Waits until servos answer after a restart."""
    until = bus.clock.now() + _RESTART_TIME
    for id in ids:
        while not (data := bus.read(id, registers.HARDWARE_ERROR.address, 1)):
            if bus.clock.now() > until:
                raise BusError(f"{what}: servo {id} did not answer after its restart")
        if data[0]:
            problem = registers.hardware_error(data[0])
            raise BusError(f"{what}: servo {id} reports again: {problem}; remove the cause")


def _require_factory_settings(bus: Bus, id: int, model: Model) -> None:
    address, length = _SPAN
    data = bus.read(id, address, length)
    for entry in control_table(model).values():
        at, size = entry.register.address - address, entry.register.size
        if not (entry.writable and at >= 0 and at + size <= length) or entry.default is None:
            continue
        value = entry.register.unpack(data[at : at + size])
        if len(data) != length or value != entry.default:
            raise BusError(
                f"restore: {entry.name} (register {entry.register.address}) of servo {id} is "
                f"{value}, not {entry.default}; try again, or use Robotis' Dynamixel Wizard"
            )


def _write(bus: Bus, id: int, register: Register, value: int) -> None:
    _require_no_torque(bus, id)
    reply = bus.write(id, register.address, register.pack(value))
    if reply is None or reply.error & 0x7F:
        raise BusError(f"servo {id} did not accept {value} at register {register.address}")


def _require_no_torque(bus: Bus, id: int) -> None:
    torque = bus.read(id, registers.TORQUE_ENABLE.address, 1)
    if not torque:
        raise BusError(f"no answer from servo {id} on {bus.port}; `inhand scan` shows all")
    if torque[0]:
        raise BusError(
            f"torque of servo {id} is on; switch it off first: `inhand disable`, or "
            f"`inhand reboot {id}` if no daemon runs"
        )
