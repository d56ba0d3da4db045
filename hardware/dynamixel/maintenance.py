"""Maintenance of single servos: scan, set the id, set the baud rate, reboot."""

from collections.abc import Iterator, Sequence

from inhand.hardware.dynamixel import registers, requests
from inhand.hardware.dynamixel.bus import Bus
from inhand.hardware.dynamixel.registers import Register
from inhand.hardware.errors import BusError

BAUDS = tuple(sorted(registers.BAUD_RATES, reverse=True))
_PING_TIME = 0.8
_RESTART_TIME = 2.0


def scan(port: str, bauds: Sequence[int] = BAUDS) -> Iterator[tuple[int, int, str, int]]:
    """Finds servos at every baud rate; yields baud rate, id, model and firmware of each.

    Raises:
        BusError: the port cannot be opened.
    """
    names = {model.number: name for name, model in registers.MODELS.items()}
    for baud in bauds:
        bus = Bus(port, baud, readonly=True)
        bus.open()
        try:
            packets = bus.listen(requests.ping(), _PING_TIME)
        finally:
            bus.close()
        for packet in sorted(packets, key=lambda packet: packet.id):
            if len(packet.data) == 3:
                number = int.from_bytes(packet.data[:2], "little")
                yield baud, packet.id, names.get(number, f"model {number}"), packet.data[2]


def set_id(bus: Bus, id: int, new: int) -> None:
    """Gives a servo another id.

    Raises:
        BusError: the servo does not answer or refused, or the new id is in use or invalid.
    """
    if not 0 <= new <= 252:
        raise BusError(f"set-id: {new} is not a valid id; choose one from 0 to 252")
    if bus.ping([new]):
        raise BusError(f"set-id: there is a servo {new} on {bus.port} already; choose another id")
    if sum(packet.id == id for packet in bus.listen(requests.ping(), _PING_TIME)) > 1:
        raise BusError(f"set-id: two servos have id {id}; disconnect one of them")
    _write(bus, id, registers.ID, new)
    if new not in bus.ping([new]):
        raise BusError(f"set-id: servo {id} accepted id {new} but does not answer; scan the bus")


def set_baud(bus: Bus, ids: Sequence[int], baud: int) -> None:
    """Sets the baud rate of servos, which do not answer at the old one afterwards.

    Raises:
        BusError: there is no such baud rate, or a servo does not answer or refused.
    """
    if baud not in registers.BAUD_RATES:
        raise BusError(f"set-baud: {baud} is not a baud rate of these servos; choose from {BAUDS}")
    missing = [id for id in ids if id not in bus.ping([id])]
    if missing:
        raise BusError(f"set-baud: no answer from servo {missing}; nothing was changed")
    for id in ids:
        _write(bus, id, registers.BAUD_RATE, registers.BAUD_RATES[baud])


def reboot(bus: Bus, ids: Sequence[int]) -> None:
    """Reboots servos; torque and hardware errors are cleared afterwards.

    Raises:
        BusError: a servo does not answer after its reboot, or has its error again.
    """
    for id in ids:
        if bus.reboot(id) is None:
            raise BusError(f"reboot: no answer from servo {id} on {bus.port}")
    until = bus.clock.now() + _RESTART_TIME
    for id in ids:
        while not (data := bus.read(id, registers.HARDWARE_ERROR.address, 1)):
            if bus.clock.now() > until:
                raise BusError(f"reboot: servo {id} did not answer after its reboot")
        if data[0]:
            problem = registers.hardware_error(data[0])
            raise BusError(f"reboot: servo {id} reports again: {problem}; remove the cause")


def _write(bus: Bus, id: int, register: Register, value: int) -> None:
    torque = bus.read(id, registers.TORQUE_ENABLE.address, 1)
    if not torque:
        raise BusError(f"no answer from servo {id} on {bus.port}; `inhand scan` shows all")
    if torque[0]:
        raise BusError(f"torque of servo {id} is on; switch it off first (inhand disable)")
    reply = bus.write(id, register.address, register.pack(value))
    if reply is None or reply.error & 0x7F:
        raise BusError(f"servo {id} did not accept {value} at register {register.address}")
