"""A servo bus on a pty, served from a thread, for tests of driver and emulator."""

import math
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

from inhand.hardware.dynamixel import port as port_module
from inhand.hardware.dynamixel import registers
from inhand.hardware.dynamixel.line_clock import RealLineClock
from inhand.hardware.model.hand import Hand
from inhand.hardware.records import Array
from inhand.sim_backend.emulator import ServoBus
from inhand.sim_backend.transmission_time import PacedLine, speed_of
from tests.sim_backend.line_faults import FaultyLine

SIXTEEN = Path(__file__).parents[1] / "hardware" / "sixteen.toml"
"""File of a hand with the ids 1 to 16."""
SHORTEST_SLEEP = 0.0003
"""The processor is late by about as much when it is to sleep for less [s]."""
FLUSH = 0.02
"""How long the kernel may take to pass written bytes on to the other end of a pty [s]."""
STUCK = 120.0
"""The thread of a line has ended or stands still if it has not had a turn for so long [s]."""

_lines: "dict[str, Wires]" = {}
"""The lines, by device file."""


class PatientClock(RealLineClock):
    """Real time, in which no servo counts as silent before its thread has had a turn.

    On a busy machine that thread may get no processor for seconds, which says nothing about the
    driver.
    """

    def wait_readable(self, file: int, deadline: float) -> bool:
        if super().wait_readable(file, deadline):
            return True
        line = _lines.get(os.ttyname(file))
        if line is None:
            return False
        line.await_turn()
        return super().wait_readable(file, self.now() + FLUSH)


class Wires:
    """Servos without a world, that follow their goals at once while torque is on.

    Drivers of this process that are made afterwards wait with a `PatientClock`.

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
        # What waits for a turn of the thread writes a byte.
        self._asked, self._ask = os.pipe()
        self._turns = threading.Semaphore(0)
        _lines[self.port] = self
        port_module.RealLineClock = PatientClock  # type: ignore[misc]
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
            readable = select.select([self._line, self._asked], [], [], patience)[0]
            asked, readable = self._asked in readable, self._line in readable
            now = time.monotonic()
            with self.lock:
                self.bus.move(now - last)
                late = self.faults.due(now) if paced is None else paced.due(now)
            if late:
                os.write(self._line, late)
            if asked and not readable and (paced is None or paced.next == math.inf):
                # All requests that came before are answered.
                os.read(self._asked, 1)
                self._turns.release()
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

    def await_turn(self) -> None:
        """Waits until the servos have answered all requests that were sent before."""
        os.write(self._ask, b"?")
        deadline = time.monotonic() + STUCK
        while self._thread.is_alive() and not self._turns.acquire(timeout=0.1):
            assert time.monotonic() < deadline, "the thread of the line stands still"

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
        _lines.pop(self.port, None)
        for file in (self._line, self._asked, self._ask):
            os.close(file)


@contextmanager
def wires(hand: Hand, baud: int | None = None) -> Iterator[Wires]:
    """Servos on a line for the length of a test."""
    line = Wires(hand, baud)
    try:
        yield line
    finally:
        if line._running:
            line.unplug()
