"""Diagnosis of a servo bus, as findings with remedies. Nothing is written to any servo."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from inhand.hardware.dynamixel import registers, requests
from inhand.hardware.dynamixel.bus import Bus
from inhand.hardware.errors import BusError
from inhand.hardware.findings import Finding
from inhand.hardware.model.hand import Hand
from inhand.hardware.model.hand_description import Actuator

OLDEST_FIRMWARE = 46
"""First firmware with fast sync reads in every model; the bus watchdog is older."""
WARM = 60.0
"""Temperature of a servo at which the daemon begins to derate it [°C]."""
_PING_TIME = 0.8
"""Time in which all servos answer a broadcast ping, one after another in the order of ids [s]."""


def check_bus(hand: Hand, port: str, baud: int) -> list[Finding]:
    """Findings about the port, the servos and their settings.

    Args:
        hand: defines the expected servos.
        port: device file.
        baud: baud rate [bit/s].
    """
    findings = [_port(port)]
    if findings[0].verdict == "bad":
        return findings
    bus = Bus(port, baud, readonly=True)
    try:
        bus.open()
        findings += _servos(hand, bus)
    except BusError as error:
        findings.append(Finding("port", "bad", str(error), _users_remedy(port)))
    finally:
        bus.close()
    return findings


def users_of(port: str) -> list[str]:
    """Processes that have the port open, as `name (pid)`.

    Processes of other users are found only with privileges.
    """
    # Compared by device, not by path: /dev/pts/0 of a container is another device.
    device, found = os.stat(port), []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        try:
            if any(_is(device, file) for file in (process / "fd").iterdir()):
                found.append(f"{(process / 'comm').read_text().strip()} ({process.name})")
        except OSError:
            # The process has ended, or belongs to another user.
            continue
    return found


def _is(device: os.stat_result, file: Path) -> bool:
    try:
        return os.path.samestat(device, file.stat())
    except OSError:
        return False


def _port(port: str) -> Finding:
    if not os.path.exists(port):
        return Finding(
            "port",
            "bad",
            f"{port} does not exist",
            "plug the adapter in; `ls /dev/serial/by-id` lists the ports; set `port` under [bus]",
        )
    if not os.access(port, os.R_OK | os.W_OK):
        return Finding(
            "port",
            "bad",
            f"this user may not open {port}",
            "install the udev rule (docs/hardware.md), or join the group: "
            "sudo usermod -aG dialout $USER, then log in again",
        )
    if users := users_of(port):
        return Finding(
            "port", "bad", f"{port} is in use by {', '.join(users)}", _users_remedy(port)
        )
    return Finding("port", "good", f"{port} exists and is free")


def _users_remedy(port: str) -> str:
    users = ", ".join(users_of(port)) or "the program that uses it"
    return f"only one program may use a bus: end {users}; `inhand shutdown` ends the daemon"


def _servos(hand: Hand, bus: Bus) -> Iterator[Finding]:
    wanted = {a.on_bus.id: a for a in hand.actuators}
    answers = _ping_counts(bus)
    found = bus.ping([id for id in wanted if id in answers] or list(wanted))
    if not found and not answers:
        yield Finding(
            "servos",
            "bad",
            f"no servo answers at {bus.baud} baud",
            "switch the servo power on; check the cable; `inhand scan` tries every baud rate",
        )
        return
    missing = [_name(wanted, id) for id in wanted if id not in found]
    if missing:
        yield Finding(
            "servos",
            "bad",
            f"{len(found)} of {len(wanted)} answer; missing: {', '.join(missing)}",
            "check the cable before the first missing servo; `inhand scan` finds servos with "
            "other ids and baud rates",
        )
    else:
        yield Finding("servos", "good", f"{len(found)} of {len(wanted)} answer")
    if twice := [_name(wanted, id) for id, count in sorted(answers.items()) if count > 1]:
        yield Finding(
            "duplicate ids",
            "bad",
            ", ".join(twice),
            "disconnect one servo of each pair, then give the other a free id with `inhand set-id`",
        )
    if strangers := sorted(answers.keys() - wanted.keys()):
        yield Finding(
            "unknown ids",
            "warning",
            f"{', '.join(map(str, strangers))} are on the bus but not in hand {hand.name}",
            "disconnect them, or give them the ids of missing servos with `inhand set-id`",
        )
    known = {id: found[id] for id in found if id in wanted}
    yield from _models(wanted, known)
    yield from _settings(wanted, known, bus)


def _models(wanted: dict[int, Actuator], found: dict[int, tuple[int, int]]) -> Iterator[Finding]:
    names = {model.number: name for name, model in registers.MODELS.items()}
    other = [
        f"{_name(wanted, id)} is {names.get(number, f'model number {number}')}"
        for id, (number, _) in found.items()
        if number != registers.MODELS[wanted[id].on_bus.model].number
    ]
    if other:
        yield Finding(
            "models", "bad", "; ".join(other), "plug the right hand in, or correct the hand file"
        )
    elif found:
        yield Finding("models", "good", "as in the hand file")
    old = [f"{_name(wanted, id)}: {age}" for id, (_, age) in found.items() if age < OLDEST_FIRMWARE]
    if old:
        yield Finding(
            "firmware",
            "warning",
            f"older than {OLDEST_FIRMWARE}: {', '.join(old)}",
            "update it with Robotis' Dynamixel Wizard; until then the slower sync read may be used",
        )
    elif found:
        yield Finding("firmware", "good", f"{OLDEST_FIRMWARE} or newer")


def _settings(
    wanted: dict[int, Actuator], found: dict[int, tuple[int, int]], bus: Bus
) -> Iterator[Finding]:
    delay, errors, hot, voltage = list[str](), list[str](), list[str](), list[str]()
    for id in found:
        name = _name(wanted, id)
        if (data := bus.read(id, registers.RETURN_DELAY.address, 1)) and data[0]:
            delay.append(f"{name}: {2 * data[0]} µs")
        if (data := bus.read(id, registers.HARDWARE_ERROR.address, 1)) and data[0]:
            errors.append(f"{name}: {registers.hardware_error(data[0])}")
        if data := bus.read(id, *registers.CONDITION):
            if (celsius := registers.TEMPERATURE.unpack(data[2:])) >= WARM:
                hot.append(f"{name}: {celsius} °C")
            volts = registers.VOLTAGE_UNIT * registers.INPUT_VOLTAGE.unpack(data[:2])
            low, high = registers.MODELS[wanted[id].on_bus.model].voltage
            if not low <= volts <= high:
                voltage.append(f"{name}: {volts:.1f} V instead of {low:.1f} to {high:.1f} V")
    if delay:
        yield Finding(
            "return delay",
            "warning",
            ", ".join(delay),
            "nothing to do: the driver sets it to 0 at bring-up with torque off",
        )
    elif found:
        yield Finding("return delay", "good", "0")
    if errors:
        yield Finding(
            "hardware errors", "bad", "; ".join(errors), "remove the cause, then `inhand reboot`"
        )
    elif found:
        yield Finding("hardware errors", "good", "none")
    if voltage:
        yield Finding(
            "voltage",
            "bad",
            ", ".join(voltage),
            "check the supply: too weak, its cable too long or thin, or its voltage too high",
        )
    elif found:
        yield Finding("voltage", "good", "within the range of the models")
    if hot:
        yield Finding("temperature", "warning", ", ".join(hot), "let the servos cool down")


def _ping_counts(bus: Bus) -> Counter[int]:
    """Number of answers of each id to a broadcast ping; two mean a duplicate id."""
    return Counter(packet.id for packet in bus.listen(requests.ping(), _PING_TIME) if packet.data)


def _name(wanted: dict[int, Actuator], id: int) -> str:
    actuator = wanted.get(id)
    return f"{id} ({actuator.name})" if actuator else str(id)
