"""Two servos with the same id: their replies collide, or come one after the other.

Equal replies look like one. So servos are asked for what differs between any two: positions,
voltages, temperatures and running times.
"""

from collections.abc import Iterable, Iterator

from inhand.hardware.dynamixel import registers, requests
from inhand.hardware.dynamixel.bus import Bus

_MEASURED = (
    registers.REALTIME_TICK.address,
    (registers.TEMPERATURE.address + 1 - registers.REALTIME_TICK.address),
)
"""Address and length of what a servo measures."""
_TRIES = 4
"""Pings and reads of each servo."""
REPLY_TIME = 0.025
"""Time for a reply and one after it; above the 16 ms for which some adapters keep bytes [s]."""


def suspected(bus: Bus, ids: Iterable[int]) -> dict[int, str]:
    """Ids that two servos seem to have, each with what was seen.

    Args:
        bus: the bus, open.
        ids: to look at; also ids at which nothing answers.
    """
    return {id: seen for id in ids if (seen := _seen(bus, id))}


def _seen(bus: Bus, id: int) -> str:
    """What hints at two servos with this id; empty if nothing does."""
    intact = twice = garbled = 0
    for request in _requests(id):
        replies, stray = bus.listen(request, REPLY_TIME)
        own = [reply for reply in replies if reply.id == id]
        intact += bool(own)
        twice += len(own) > 1
        # Bytes that form no reply of this servo.
        garbled += not own and stray > 0
        if not garbled and not twice and (not intact or intact > 1):
            # Nobody is there, or one servo alone: a ping and a read are answered once.
            return ""
    if twice > 1:
        return f"{twice} of {2 * _TRIES} requests are answered twice"
    if garbled > 1:
        return f"{garbled} of {2 * _TRIES} replies are garbled"
    return ""


def _requests(id: int) -> Iterator[bytes]:
    for _ in range(_TRIES):
        yield requests.ping(id)
        yield requests.read(id, *_MEASURED)
