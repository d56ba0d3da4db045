"""Base of the commands that open the servo bus themselves; no daemon may run meanwhile."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from inhand.controller.config.config import load_config
from inhand.hardware.dynamixel.bus import Bus


@dataclass(frozen=True, kw_only=True)
class BusCommand:
    """Attributes:
    config: The daemon's configuration file, which names port and baud.
    port: Device file of the bus, instead of the configured one.
    baud: Bits a second, instead of the configured ones.
    """

    config: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    port: str = ""
    baud: int = 0

    def line(self) -> tuple[str, int]:
        """Port and speed to use."""
        bus = load_config(self.config).bus
        return self.port or bus.port, self.baud or bus.baud

    def open(self) -> Bus:
        """The bus, open."""
        bus = Bus(*self.line())
        bus.open()
        return bus
