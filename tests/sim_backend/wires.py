"""A servo bus on a pty, served from a thread, for tests of driver and emulator."""

import os
import pty
import select
import threading
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from inhand.hardware.dynamixel import registers
from inhand.hardware.model.hand import Hand
from inhand.hardware.records import Array
from inhand.sim_backend.emulator import ServoBus
from inhand.sim_backend.transmission_time import PacedLine, speed_of
from tests.sim_backend.line_faults import FaultyLine

SIXTEEN = Path(__file__).parents[1] / "hardware" / "sixteen.toml"
"""File of a hand with the ids 1 to 16."""
SHORTEST_SLEEP = 0.0003
"""The processor is late by about as much when it is to sleep for less [s]."""


class Wires:
    """Servos without a world, that follow their goals at once while torque is on.

    Args:
        hand: which servos.
        baud: at which they speak, and bytes take their time; None for a line without any speed.

    Attributes:
        port: device file.
        bus: the servos.
        position: where they stand [rad], (n_actuators,).
        deaf: ids that say nothing.
        received: everything that came over the line.
        faults: what goes wrong on it.
        lock: held while the servos act.
    """

    def __init__(self, hand: Hand, baud: int | None = None) -> None:
        self.position: Array = np.array(hand.rest)
        self.bus = ServoBus(hand, self._measure)
        self.faults = FaultyLine(self.bus)
        self.lock = threading.Lock()
        self.received = b""
        self.noise = b""
        self._line, self._other_end = pty.openpty()
        tty.setraw(self._other_end)
        self.port = os.ttyname(self._other_end)
        self._paced = PacedLine(self.bus, lambda: speed_of(self._other_end)) if baud else None
        for servo in self.bus.servos.values() if baud else ():
            servo.set(registers.BAUD_RATE, registers.BAUD_RATES[baud or 0])
        self._running = True
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _measure(self) -> tuple[Array, Array, Array]:
        on = self.bus.torque_on()
        self.position = np.where(on, self.bus.targets(), self.position)
        return self.position, np.zeros_like(self.position), np.zeros_like(self.position)

    def _serve(self) -> None:
        last, paced = time.monotonic(), self._paced
        while self._running:
            patience = 0.001 if self.faults.waiting else 0.02
            if paced is not None:
                patience = max(0.0, min(paced.next - last - SHORTEST_SLEEP, patience))
            readable = select.select([self._line], [], [], patience)[0]
            now = time.monotonic()
            with self.lock:
                self.bus.move(now - last)
                late = self.faults.due(now) if paced is None else paced.due(now)
            if late:
                os.write(self._line, late)
            if not readable:
                # This thread may have been kept waiting, which is no silence on the line.
                self.bus.advance(min(now - last, 0.04))
            last = now
            if readable:
                data = os.read(self._line, 65536)
                self.received += data
                with self.lock:
                    answer = self._answer(data, now)
                if answer:
                    os.write(self._line, self.noise + answer)

    def _answer(self, data: bytes, now: float) -> bytes:
        """The answer without delay."""
        if self._paced is None:
            return self.faults.receive(data, now)
        self._paced.receive(data, now)
        return b""

    def deafen(self) -> None:
        """Makes all servos silent."""
        with self.lock:
            for id in list(self.bus.servos):
                self.faults.inject("silent", id)

    def unplug(self) -> None:
        """Ends the line; the device file is gone afterwards.

        The clients' end stays open until the process ends: the kernel would give its number to the
        next pty, and a driver that looks for its port would find that of another test.
        """
        self._running = False
        self._thread.join()
        os.close(self._line)


@contextmanager
def wires(hand: Hand, baud: int | None = None) -> Iterator[Wires]:
    """Servos on a line for the length of a test."""
    line = Wires(hand, baud)
    try:
        yield line
    finally:
        if line._running:
            line.unplug()
