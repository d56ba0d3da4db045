"""The simulated hand in simulated time: it steps when all programs that take part sleep."""

import select
import socket
import time
from pathlib import Path

import numpy as np

from inhand.perception.parent import Parent
from inhand.perception.simulated_time import picture_number
from inhand.sim_backend.simulation import Simulation
from inhand.sim_backend.states import STATE_RATE
from inhand.sim_backend.timekeeper import Pace, Timekeeper
from inhand.sim_backend.world import World

_IDLE = 0.1
"""Longest time to wait for an event [s]."""
_REPEAT = 0.3
"""Real time after which the state for the renderer is sent again while time stands still [s]."""
_TRANSMISSION = 1.0
"""Longest real time that bytes need through the line [s]."""


class TimedSimulation(Simulation):
    """A `Simulation` that waits for the programs that take part in simulated time.

    Args:
        world: the physics.
        directory: for the sockets.
        rng: of the joint sensors' noise.
        seats: number of programs that must have joined before time begins.
    """

    def __init__(self, world: World, directory: Path, rng: np.random.Generator, seats: int) -> None:
        super().__init__(world, directory, rng)
        self._seats, self._pace = seats, Pace()
        self._line_active, self._count = False, 0
        self._targets, self._torque = self._bus.targets(), self._bus.torque_on()
        self._drawn, self._picture, self._state_sent = -1, b"", 0.0

    def open(self) -> None:
        super().open()
        self._keeper = Timekeeper.open(self._directory, self._seats)

    def state_time(self) -> float:
        return self._keeper.now

    def serve(self) -> None:
        """Steps to the earliest time until which all programs sleep; ends with the parent."""
        parent, keeper = Parent(), self._keeper
        while parent.alive and not self._states.poll(int(1000 * _IDLE)):
            # Waits for the renderer, which shall draw the first state.
            continue
        self._publish(0.0)
        while parent.alive:
            target = keeper.target()
            if target is None:
                self._handle_events(_IDLE)
                if time.monotonic() - self._state_sent > _REPEAT:
                    # A process that was not connected yet, or has restarted, has missed it.
                    self._send(self._picture)
                continue
            self._read_line()
            self._run_to(target)
            wait = self._pace.early(target)
            if wait > 0:
                self._handle_events(min(wait, _IDLE))
            elif keeper.target() == target:
                keeper.set_time(target, self._pace.factor(target))
                keeper.wake()
                self._handle_events(0.0)

    def _handle_events(self, patience: float) -> None:
        """Handles the line, programs and requests; waits at most `patience` [s] for the first."""
        files: list[socket.socket | int] = [self._line, self._requests.FD, *self._keeper.files()]
        readable, _, _ = select.select(files, [], [], patience)
        if self._line in readable:
            self._line_active = True
            self._serve_line()
        self._keeper.receive(readable)
        self._answer()

    def _read_line(self) -> None:
        """Reads all bytes from the line that programs sent before they slept."""
        deadline = time.monotonic() + _TRANSMISSION
        while self.taken < self._keeper.sent and time.monotonic() < deadline:
            self._handle_events(_IDLE)
        # Bytes that have not arrived were lost when the line was closed.
        self.taken = self._keeper.sent

    def _run_to(self, target: float) -> None:
        """Steps up to `target` [s], with the newest targets from the line."""
        world, keeper, bus = self.world, self._keeper, self._bus
        step = world.timestep
        steps_per_state = max(1, round(1.0 / STATE_RATE / step))
        while world.time + step <= target + 1e-9:
            if self._line_active:
                self._line_active = False
                self._targets, self._torque = bus.targets(), bus.torque_on()
            elif bus.advance(step):
                self._targets = bus.targets()
            if bus.move(step):
                self._targets = bus.targets()
            world.step(self._targets, self._torque)
            keeper.set_time(min(world.time, target))
            self._count += 1
            if self._count % steps_per_state == 0:
                bus.warm(steps_per_state * step)
                self._publish(keeper.now)

    def _send(self, state: bytes) -> None:
        self._state_sent = time.monotonic()
        if picture_number(self._keeper.now) > self._drawn:
            self._drawn, self._picture = picture_number(self._keeper.now), state
        super()._send(state)
