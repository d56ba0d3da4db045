"""A link to real drivers with emulated servos on pty lines."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from inhand.controller.runtime import hand_link as link_module
from inhand.controller.runtime.hand_link import HandLink
from inhand.hardware.backend import HandBackend
from inhand.hardware.dynamixel.driver import ServoHand
from inhand.hardware.dynamixel.parallel import ParallelHand, by_port
from inhand.hardware.model.hand import load_hand
from inhand.hardware.records import Targets, frozen_array
from tests.sim_backend.wires import Wires, wires

HAND = load_hand("dactyl24")
REST = Targets(0.0, frozen_array(HAND.rest))
PATIENCE = 0.1
PARTS = by_port(HAND, "one", {"other": [1, 2, *range(9, 13), *range(16, 21)]})


class Rig:
    """Lines, a driver on each, and the link over all.

    Attributes:
        lines: with the servos.
        link: to all of them.
    """

    def __init__(self, lines: list[Wires], buses: int) -> None:
        self.lines = lines
        parts = [HAND] if buses == 1 else list(PARTS.values())
        drivers = [
            ServoHand(part, line.port, 4_000_000, PATIENCE, watchdog=0)
            for part, line in zip(parts, lines, strict=True)
        ]
        hand: HandBackend = drivers[0] if buses == 1 else ParallelHand(HAND, drivers)
        hand.connect()
        self.drivers, self.link = drivers, HandLink(hand)

    def line_of(self, id: int) -> Wires:
        return next(line for line in self.lines if id in line.bus.servos)

    def ill(self, id: int, bit: int = 5) -> None:
        line = self.line_of(id)
        with line.lock:
            line.faults.inject("alert", id, error=1 << bit)

    @property
    def pulling(self) -> int:
        return int(sum(line.bus.torque_on().sum() for line in self.lines))

    def until(self, what: Callable[[], object], torque: bool = True) -> None:
        """Ticks until something holds."""
        deadline = time.monotonic() + 120
        while not what():
            assert time.monotonic() < deadline, self.link.problem
            self.link.read(time.monotonic() + 0.1)
            self.link.write(torque, REST)
            self.link.seek()


@contextmanager
def rigged(buses: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    monkeypatch.setattr(link_module, "RECONNECT_PAUSE", 0.2)
    hands = [HAND] if buses == 1 else list(PARTS.values())
    with ExitStack() as stack:
        rig = Rig([stack.enter_context(wires(hand)) for hand in hands], buses)
        yield rig
        rig.link.close(False)
