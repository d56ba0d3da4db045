"""Two servos with the same id: their replies collide, or come one after the other.

Equal replies look like one. So servos are asked for what differs between any two: positions,
voltages, temperatures and running times.
"""

from collections.abc import Iterable, Iterator

from inhand.hardware.dynamixel import registers, requests
from inhand.hardware.dynamixel.bus import BRING_UP_PATIENCE, Bus

_MEASURED = (
    registers.REALTIME_TICK.address,
    (registers.TEMPERATURE.address + 1 - registers.REALTIME_TICK.address),
)
"""Address and length of what a servo measures."""
_TRIES = 8
"""Pings and reads of each servo, at most: so many if anything hints at a second one."""
SURE = 4
"""Rounds before something is written that two servos would both take."""
_SECOND_REPLY = 0.025
"""Time for a second reply; above the 16 ms for which some adapters keep bytes [s]."""


def suspected(bus: Bus, ids: Iterable[int], rounds: int = 2) -> dict[int, str]:
    """Ids that two servos seem to have, each with what was seen.

    Two replies at once can look like one intact reply: a bit that both send is right, and where
    they differ the checksum of the result is right by chance, in up to 6 % of the reads of servos
    that differ in two bits.

    Args:
        bus: the bus, open.
        ids: to look at; also ids at which nothing answers.
        rounds: pings and reads that one servo alone must answer, at most `_TRIES`.
    """
    return {id: seen for id in ids if (seen := _seen(bus, id, rounds))}


def _seen(bus: Bus, id: int, rounds: int) -> str:
    """What hints at two servos with this id; empty if nothing does."""
    intact = twice = garbled = 0
    for request, size in _requests(id):
        replies, stray = bus.listen(request, _SECOND_REPLY, BRING_UP_PATIENCE)
        # A late reply to the request before is of another size.
        own = [reply for reply in replies if reply.id == id and len(reply.data) == size]
        intact += bool(own)
        twice += len(own) > 1
        # Bytes that form no reply of this servo.
        garbled += not own and stray > 0
        if not garbled and not twice and (not intact or intact >= 2 * rounds):
            # Nobody is there, or one servo alone: pings and reads are answered once.
            return ""
    if twice > 1:
        return f"{twice} of {2 * _TRIES} requests are answered twice"
    if garbled > 1:
        return f"{garbled} of {2 * _TRIES} replies are garbled"
    return ""


def _requests(id: int) -> Iterator[tuple[bytes, int]]:
    """Requests to a servo, and how many bytes of data the reply to each has."""
    for _ in range(_TRIES):
        yield requests.ping(id), 3
        yield requests.read(id, *_MEASURED), _MEASURED[1]
