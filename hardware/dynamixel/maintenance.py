"""What is done to servos before they are a hand: find, number, set the speed, reboot."""

from collections.abc import Iterator, Sequence

from inhand.hardware.dynamixel import registers, requests
from inhand.hardware.dynamixel.bus import Bus
from inhand.hardware.dynamixel.registers import Register
from inhand.hardware.errors import BusError

BAUDS = tuple(sorted(registers.BAUD_RATES, reverse=True))
_PING_TIME = 0.8
_RESTART_TIME = 2.0


def scan(port: str, bauds: Sequence[int] = BAUDS) -> Iterator[tuple[int, int, str, int]]:
    """Finds servos at every speed; yields baud, id, model and firmware of each.

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
        BusError: it is not there, the new id is taken or impossible, or the servo refused.
    """
    if not 0 <= new <= 252:
        raise BusError(f"set-id: {new} is no id; there are 0 to 252")
    if bus.ping([new]):
        raise BusError(f"set-id: there is a servo {new} on {bus.port} already; choose another id")
    if sum(packet.id == id for packet in bus.listen(requests.ping(), _PING_TIME)) > 1:
        raise BusError(f"set-id: two servos have id {id}; leave one of them on the bus alone")
    _write(bus, id, registers.ID, new)
    if new not in bus.ping([new]):
        raise BusError(f"set-id: servo {id} took id {new} but does not answer by it; scan the bus")


def set_baud(bus: Bus, ids: Sequence[int], baud: int) -> None:
    """Sets the speed of servos, which do not answer at the old one afterwards.

    Raises:
        BusError: there is no such speed, or a servo is not there or refused.
    """
    if baud not in registers.BAUD_RATES:
        raise BusError(f"set-baud: {baud} is no speed of these servos; there are {BAUDS}")
    missing = [id for id in ids if id not in bus.ping([id])]
    if missing:
        raise BusError(f"set-baud: no answer from servo {missing}; nothing was changed")
    for id in ids:
        _write(bus, id, registers.BAUD_RATE, registers.BAUD_RATES[baud])


def reboot(bus: Bus, ids: Sequence[int]) -> None:
    """Starts servos anew; they are without torque and hardware error afterwards.

    Raises:
        BusError: one does not come back, or has its error again.
    """
    for id in ids:
        if bus.reboot(id) is None:
            raise BusError(f"reboot: no answer from servo {id} on {bus.port}")
    until = bus.clock.now() + _RESTART_TIME
    for id in ids:
        while not (data := bus.read(id, registers.HARDWARE_ERROR.address, 1)):
            if bus.clock.now() > until:
                raise BusError(f"reboot: servo {id} did not come back")
        if data[0]:
            problem = registers.hardware_error(data[0])
            raise BusError(f"reboot: servo {id} is {problem} again; remove the cause")


def _write(bus: Bus, id: int, register: Register, value: int) -> None:
    torque = bus.read(id, registers.TORQUE_ENABLE.address, 1)
    if not torque:
        raise BusError(f"no answer from servo {id} on {bus.port}; `inhand scan` shows all")
    if torque[0]:
        raise BusError(f"servo {id} holds with torque; switch it off first (inhand disable)")
    reply = bus.write(id, register.address, register.pack(value))
    if reply is None or reply.error & 0x7F:
        raise BusError(f"servo {id} did not take {value} at register {register.address}")
