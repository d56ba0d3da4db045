"""Options of `inhandd`, as its help shows them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True)
class Options:
    """The hand's daemon: holds it, turns the object, answers commands.

    Example: inhandd --sim

    Attributes:
        sim: Start a simulated hand and control that one. Where the machine is too slow for it, time
            goes slower, and nothing else changes.
        real_time: With --sim, keep to real time: a machine that is too slow shows, as on a hand.
        hold: With --sim, let time begin when a program takes part in it, as `inhand demo` does.
        config: Configuration file; without it every value has its default.
        directory: Where to make the sockets, instead of the usual place.
        policy: Policy file to load at start; naming it here allows it.
        seed: Seed of the simulation, instead of the configured one.
        dry_run: Read and compute, print once a second, send nothing to the servos.
        readonly: Read only: refuse every request that could move the hand.
    """

    sim: bool = False
    real_time: bool = False
    hold: bool = False
    config: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    directory: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    policy: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    seed: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    dry_run: bool = False
    readonly: bool = False

    @property
    def timed(self) -> bool:
        """Whether time is simulated."""
        return self.sim and not self.real_time
