"""Verbs of `inhand` that open the servo bus themselves; no daemon may run meanwhile."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec
import tyro

from inhand.controller.calibration.bus_command import BusCommand
from inhand.controller.calibration.guided_motion import confirm
from inhand.controller.config.config import load_config
from inhand.controller.errors import ConfigError
from inhand.controller.system.clock import Clock, MonotonicClock
from inhand.hardware.dynamixel import maintenance
from inhand.hardware.dynamixel.bus import Bus
from inhand.hardware.dynamixel.checkup import check_bus
from inhand.hardware.dynamixel.parallel import by_port
from inhand.hardware.findings import Finding, as_text
from inhand.hardware.model.hand import load_hand
from inhand.result import print_json

_Id = Annotated[int, tyro.conf.Positional, tyro.conf.arg(metavar="ID")]


@dataclass(frozen=True)
class Doctor(BusCommand):
    """Check the set-up: what is wrong, and what to do about it. Changes nothing.

    With `--move` each joint then moves a little around the rest pose: take the object out.

    Example: inhand doctor --config inhandd.toml

    Attributes:
        json: Print the findings as JSON.
        move: Also check that each joint follows, and no other. MOVES THE HAND.
        yes: Do not ask before moving.
    """

    json: bool = False
    move: bool = False
    yes: bool = False
    clock: tyro.conf.Suppress[Clock] = field(default_factory=MonotonicClock)

    def run(self) -> int:
        """Prints the findings; 1 if anything keeps the hand from working."""
        findings = self.findings()
        if self.json:
            print_json([_as_dict(one) for one in findings])
        else:
            print(as_text(findings))
        return int(any(one.verdict == "bad" for one in findings))

    def findings(self) -> list[Finding]:
        """The findings of all checks."""
        # These load cameras and networks, for which a short verb like `estop` would wait.
        from inhand.controller.calibration.doctor_host import check_station
        from inhand.controller.calibration.doctor_training import check_measured
        from inhand.controller.calibration.move_check import check_motion

        config = load_config(self.config)
        port, baud = self.line()
        parts = by_port(load_hand(config.hand), port, {} if self.port else config.bus.others)
        gains = config.bus.gains
        settings: dict[str, Any] = {
            "gains": (gains[0], gains[1], gains[2]) if gains else None,
            "torque_share": config.bus.torque_share,
        }
        findings = [
            found for at, hand in parts.items() for found in check_bus(hand, at, baud, **settings)
        ]
        if self.move and not any(found.verdict == "bad" for found in findings):
            if not self.yes:
                confirm()
            bus = msgspec.structs.replace(config.bus, baud=baud)
            findings += check_motion(load_hand(config.hand), bus, self.port, self.clock)
        return findings + check_measured(config) + check_station(config)


@dataclass(frozen=True)
class Scan(BusCommand):
    """Find servos at every baud rate (or the one given): baud, id, model, firmware.

    Example: inhand scan --port /dev/ttyUSB0

    Attributes:
        json: Print them as JSON.
    """

    json: bool = False

    def run(self) -> int:
        """Prints the servos; 1 if there is none."""
        port, _ = self.line()
        bauds = (self.baud,) if self.baud else maintenance.BAUDS
        doubts = list[str]()
        found = list(maintenance.scan(port, bauds, doubts.append))
        if self.json:
            keys = "baud", "id", "model", "firmware"
            print_json([dict(zip(keys, one, strict=True)) for one in found])
        for baud, id, model, firmware in () if self.json else found:
            print(f"{baud:8} baud  id {id:3}  {model}, firmware {firmware}")
        for doubt in doubts:
            print(f"{doubt}; connect one servo at a time (docs/hardware.md)", file=sys.stderr)
        if not found:
            raise ConfigError(f"scan: no servo answers on {port}; is its power on?")
        return 0


@dataclass(frozen=True)
class SetId(BusCommand):
    """Give a servo another id; best with that servo alone on the bus.

    Example: inhand set-id 1 7 --port /dev/ttyUSB0 --baud 57600

    Attributes:
        id: Its id now.
        new: Its id from now on.
    """

    id: _Id
    new: _Id

    def run(self) -> int:
        """Opens the bus and carries out the command."""
        bus = self.open()
        try:
            maintenance.set_id(bus, self.id, self.new)
        finally:
            bus.close()
        print(f"servo {self.id} is servo {self.new} now")
        return 0


@dataclass(frozen=True)
class SetBaud(BusCommand):
    """Set the baud rate of servos; `--baud` is the one they have now.

    Example: inhand set-baud 4000000 1 2 3 --port /dev/ttyUSB0 --baud 57600

    Attributes:
        new: Bits a second from now on.
        ids: The servos; all of the configured hand if not given.
    """

    new: Annotated[int, tyro.conf.Positional, tyro.conf.arg(metavar="BAUD")]
    ids: tyro.conf.Positional[tuple[int, ...]] = ()

    def run(self) -> int:
        """Opens the bus and carries out the command."""
        servos = _on_servos(
            self, self.ids, lambda bus, ids: maintenance.set_baud(bus, ids, self.new)
        )
        print(f"servo {servos}: {self.new} baud; set [bus] baud to the same")
        return 0


@dataclass(frozen=True)
class Reboot(BusCommand):
    """Start servos anew, after the cause of a hardware error is gone; torque is off then.

    Example: inhand reboot 7

    Attributes:
        ids: The servos; all of the configured hand if not given.
    """

    ids: tyro.conf.Positional[tuple[int, ...]] = ()

    def run(self) -> int:
        """Opens the bus and carries out the command."""
        print(f"servo {_on_servos(self, self.ids, maintenance.reboot)}: up again, torque off")
        return 0


@dataclass(frozen=True)
class Restore(BusCommand):
    """Give servos their factory settings, except id and baud rate; torque is off then.

    For servos that another program has used: direction, offset, limits, profiles. Calibrate the
    joints anew afterwards.

    Example: inhand restore 7

    Attributes:
        ids: The servos; all of the configured hand if not given.
    """

    ids: tyro.conf.Positional[tuple[int, ...]] = ()

    def run(self) -> int:
        """Opens the bus and carries out the command."""
        servos = _on_servos(self, self.ids, maintenance.restore)
        print(f"servo {servos}: factory settings, torque off")
        return 0


def _on_servos(
    command: BusCommand, ids: tuple[int, ...], act: Callable[[Bus, tuple[int, ...]], None]
) -> str:
    """Calls the function with the bus and the servos; with all of the hand's if none is named.

    Returns:
        Their ids, for a message.
    """
    bus = command.open()
    try:
        hand = load_hand(load_config(command.config).hand)
        ids = ids or tuple(actuator.on_bus.id for actuator in hand.actuators)
        act(bus, ids)
    finally:
        bus.close()
    return ", ".join(map(str, ids))


def _as_dict(one: Finding) -> dict[str, str]:
    names = "name", "verdict", "detail", "remedy"
    return {name: getattr(one, name) for name in names}
