"""Diagnosis of the ids on a bus: missing, unknown, shifted and duplicate ones."""

from collections import Counter
from collections.abc import Iterable, Iterator

from inhand.hardware.dynamixel import requests
from inhand.hardware.dynamixel.bus import Bus
from inhand.hardware.dynamixel.duplicates import suspected
from inhand.hardware.findings import Finding
from inhand.hardware.model.hand import Hand

Found = dict[int, tuple[int, int]]
"""Model number and firmware of the servos that answer, by id."""

_PING_TIME = 0.8
"""Time in which all servos answer a broadcast ping, one after another in the order of ids [s]."""
_OTHER_IDS = (
    "check the cable before the first missing servo; `inhand scan` finds servos with other ids and "
    "baud rates; a servo that another program has set to protocol 1.0 (register 13) is found by "
    "Robotis' Dynamixel Wizard only"
)


def name_of(hand: Hand, id: int) -> str:
    """Id and joint of a servo; the id alone if the hand does not have it."""
    names = {a.on_bus.id: f"{id} ({a.name})" for a in hand.actuators}
    return names.get(id, str(id))


def find_servos(hand: Hand, bus: Bus, findings: list[Finding]) -> Found:
    """Finds the servos of a hand, and adds findings about their ids."""
    wanted = [actuator.on_bus.id for actuator in hand.actuators]
    packets, garbled = bus.listen(requests.ping(), _PING_TIME, 0.0)
    answers = Counter(packet.id for packet in packets if packet.data)
    found = bus.ping([id for id in wanted if id in answers] or wanted)
    if not found and not answers and not garbled:
        findings.append(
            Finding(
                "servos",
                "bad",
                f"no servo answers at {bus.baud} baud",
                "switch the servo power on; check the cable; `inhand scan` tries every baud rate",
            )
        )
        return {}
    twice = suspected(bus, sorted({*wanted, *answers}))
    twice |= {id: "two answers to one ping" for id, n in answers.items() if n > 1} | twice
    findings += _ids(hand, found, answers.keys() - set(wanted), twice)
    return found


def shift(wanted: Iterable[int], answering: Iterable[int]) -> int:
    """By how much all ids on the bus are shifted against those of the hand file; 0 if they are not.

    A shift explains unknown ids only if every servo on the bus fits it.
    """
    wanted, answering = set(wanted), set(answering)
    if answering <= wanted or not answering:
        return 0
    shifts = sorted(range(-252, 253), key=abs)
    return next((by for by in shifts if answering <= {id + by for id in wanted}), 0)


def _ids(hand: Hand, found: Found, strangers: set[int], twice: dict[int, str]) -> Iterator[Finding]:
    wanted = [actuator.on_bus.id for actuator in hand.actuators]
    missing = [id for id in wanted if id not in found and id not in twice]
    if twice:
        yield Finding(
            "duplicate ids",
            "bad",
            "; ".join(f"{name_of(hand, id)}: {seen}" for id, seen in sorted(twice.items())),
            "two servos have this id: disconnect all of them but one, then give it a free id with "
            "`inhand set-id`; servos fresh from the box all have id 1",
        )
    if by := shift(wanted, found.keys() | strangers):
        ids = sorted(found.keys() | strangers)
        yield Finding(
            "servos",
            "bad",
            f"the servos have the ids {ids[0]} to {ids[-1]}, the hand file has {min(wanted)} to "
            f"{max(wanted)}: all ids are shifted by {by:+d}",
            f"change the ids in a copy of the hand file, each by {by:+d}; do not use `inhand "
            "set-id`, which would exchange joints",
        )
        return
    if missing:
        yield Finding(
            "servos",
            "bad",
            f"{len(found)} of {len(wanted)} answer; missing: "
            f"{', '.join(name_of(hand, id) for id in missing)}",
            _OTHER_IDS,
        )
    elif not twice:
        yield Finding("servos", "good", f"{len(found)} of {len(wanted)} answer")
    if strangers:
        alone = len(strangers) == len(missing) == 1
        yield Finding(
            "unknown ids",
            "warning",
            f"{', '.join(map(str, sorted(strangers)))} are on the bus but not in hand {hand.name}",
            f"if it moves the joint of servo {missing[0]}: `inhand set-id {min(strangers)} "
            f"{missing[0]}`; otherwise disconnect it"
            if alone
            else "connect one servo at a time to see which joint each moves, before you change ids",
        )
