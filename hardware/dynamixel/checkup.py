"""Diagnosis of a servo bus, as findings with remedies. Nothing is written to any servo."""

import os
from collections.abc import Iterator

from inhand.hardware.dynamixel.bus import Bus
from inhand.hardware.dynamixel.checkup_ids import Found, find_servos, name_of
from inhand.hardware.dynamixel.checkup_settings import check_settings
from inhand.hardware.dynamixel.hand_check import check_servos
from inhand.hardware.dynamixel.models import MODELS
from inhand.hardware.dynamixel.port_users import interfering_programs, not_permitted, users_of
from inhand.hardware.dynamixel.reply_timing import SLOW_REPLY, slow_replies
from inhand.hardware.errors import BusError
from inhand.hardware.findings import Finding
from inhand.hardware.model.hand import Hand

OLDEST_FIRMWARE = 46
"""First firmware with fast sync reads in every model; the bus watchdog is older."""


def check_bus(
    hand: Hand,
    port: str,
    baud: int,
    *,
    gains: tuple[int, int, int] | None = None,
    torque_share: float = 1.0,
) -> list[Finding]:
    """Findings about the port, the servos and their settings.

    Args:
        hand: defines the expected servos.
        port: device file.
        baud: baud rate [bit/s].
        gains: configured gains, see `ServoHand`.
        torque_share: configured share of the torque limits.

    Raises:
        DescriptionError: the driver cannot drive this hand at this baud rate.
    """
    check_servos(hand, baud)
    findings = [_port(port)]
    if findings[0].verdict == "bad":
        return [*findings, *_interfering()]
    findings += _interfering()
    bus = Bus(port, baud, readonly=True)
    try:
        bus.open()
        found = find_servos(hand, bus, findings)
        if found:
            findings += _models(hand, found)
            findings += check_settings(hand, found, bus, gains, torque_share)
            findings.append(_reply_time(bus))
    except BusError as error:
        findings.append(Finding("port", "bad", str(error), _users_remedy(port)))
    finally:
        bus.close()
    return findings


def _port(port: str) -> Finding:
    if not os.path.exists(port):
        return Finding(
            "port",
            "bad",
            f"{port} does not exist",
            "plug the adapter in; `ls /dev/serial/by-id` lists the ports by stable names; set "
            f"`port` under [bus] to one of them{_also_interfering()}",
        )
    if not os.access(port, os.R_OK | os.W_OK):
        return Finding("port", "bad", *not_permitted(port))
    if users := users_of(port):
        return Finding(
            "port", "bad", f"{port} is in use by {', '.join(users)}", _users_remedy(port)
        )
    if _renumbered(port):
        return Finding(
            "port",
            "warning",
            f"{port} exists and is free, but its number changes with the order of plugging in",
            "use a stable name: /dev/inhand (udev rules, docs/hardware.md), or one of "
            "`ls /dev/serial/by-id`",
        )
    return Finding("port", "good", f"{port} exists and is free")


def _renumbered(port: str) -> bool:
    """Whether the name is one that the kernel gives in the order of plugging in."""
    return os.path.basename(port).startswith(("ttyUSB", "ttyACM")) and not os.path.islink(port)


def _also_interfering() -> str:
    """Programs that may have taken the adapter away; empty if none runs."""
    found = interfering_programs()
    return f"; {', '.join(found)} may have taken it: see the next finding" if found else ""


def _interfering() -> Iterator[Finding]:
    if found := interfering_programs():
        yield Finding(
            "other programs",
            "warning",
            f"{', '.join(found)} may use or take away serial adapters",
            "install the udev rules, which keep them from the U2D2 (docs/hardware.md); for another "
            "adapter: sudo systemctl mask --now ModemManager brltty-udev brltty",
        )


def _users_remedy(port: str) -> str:
    users = ", ".join(users_of(port)) or "the program that uses it"
    return f"only one program may use a bus: end {users}; `inhand shutdown` ends the daemon"


def _models(hand: Hand, found: Found) -> Iterator[Finding]:
    names = {model.number: name for name, model in MODELS.items()}
    wanted = {a.on_bus.id: MODELS[a.on_bus.model].number for a in hand.actuators}
    other = [
        f"{name_of(hand, id)} is {names.get(number, f'model number {number}')}"
        for id, (number, _) in found.items()
        if number != wanted[id]
    ]
    if other:
        yield Finding(
            "models", "bad", "; ".join(other), "plug the right hand in, or correct the hand file"
        )
    elif found:
        yield Finding("models", "good", "as in the hand file")
    ages = {name_of(hand, id): age for id, (_, age) in found.items()}
    old = [f"{name}: {age}" for name, age in ages.items() if age < OLDEST_FIRMWARE]
    if old:
        yield Finding(
            "firmware",
            "warning",
            f"older than {OLDEST_FIRMWARE}: {', '.join(old)}",
            "update it with Robotis' Dynamixel Wizard; until then the slower sync read may be used",
        )
    elif found:
        yield Finding("firmware", "good", f"{OLDEST_FIRMWARE} or newer")


def _reply_time(bus: Bus) -> Finding:
    if (seconds := bus.delays.usual) > SLOW_REPLY:
        return Finding("reply time", "warning", *slow_replies(seconds))
    return Finding("reply time", "good", f"{1000 * seconds:.1f} ms")
