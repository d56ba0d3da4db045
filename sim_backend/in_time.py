"""The simulated hand in simulated time: it goes on when everybody that takes part is done."""

import select
import socket
import time
from pathlib import Path

import numpy as np

from inhand.perception.parent import Parent
from inhand.perception.simulated_time import picture_number
from inhand.sim_backend.process import STATE_RATE, Simulation
from inhand.sim_backend.timekeeper import Pace, Timekeeper
from inhand.sim_backend.world import World

_IDLE = 0.1
"""How long to wait for something to happen at most [s]."""
_REPEAT = 0.3
"""Real time after which the state that is to be drawn is told again, as long as time stands [s]."""
_UNDER_WAY = 1.0
"""Real time that bytes take through the line at most [s]."""


class TimedSimulation(Simulation):
    """See `Simulation`; the programs that take part are waited for.

    Args:
        world: the physics.
        directory: where the sockets are made.
        rng: of the joint sensors' noise.
        seats: how many programs must have taken part before time begins.
    """

    def __init__(self, world: World, directory: Path, rng: np.random.Generator, seats: int) -> None:
        super().__init__(world, directory, rng)
        self._keeper, self._pace = Timekeeper(directory, seats), Pace()
        self._heard, self._count = False, 0
        self._targets, self._torque = self._bus.targets(), self._bus.torque_on()
        self._drawn, self._picture, self._told = -1, b"", 0.0

    def now(self) -> float:
        return self._keeper.now

    def serve(self) -> None:
        """Steps the world to wherever all wait for, until the parent is gone."""
        parent, keeper = Parent(), self._keeper
        while parent.alive and not self._states.poll(int(1000 * _IDLE)):
            # The renderer is to draw the first state, too.
            continue
        self._publish(0.0)
        while parent.alive:
            target = keeper.target()
            if target is None:
                self._attend(_IDLE)
                if time.monotonic() - self._told > _REPEAT:
                    # Who was not there yet, or has been started anew, has missed it.
                    self._send(self._picture)
                continue
            self._take_all()
            self._run_to(target)
            early = self._pace.early(target)
            if early > 0:
                self._attend(min(early, _IDLE))
            elif keeper.target() == target:
                keeper.tell(target, self._pace.factor(target))
                keeper.wake()
                self._attend(0.0)

    def _attend(self, patience: float) -> None:
        """Serves line, programs and requests, waiting for the first of them so long [s]."""
        files: list[socket.socket | int] = [self._line, self._requests.FD, *self._keeper.files()]
        readable, _, _ = select.select(files, [], [], patience)
        if self._line in readable:
            self._heard = True
            self._hear()
        self._keeper.hear(readable)
        self._answer()

    def _take_all(self) -> None:
        """Takes all bytes from the line that were sent before everybody slept."""
        deadline = time.monotonic() + _UNDER_WAY
        while self.taken < self._keeper.sent and time.monotonic() < deadline:
            self._attend(_IDLE)
        # What has not come by now was thrown away when the line was closed.
        self.taken = self._keeper.sent

    def _run_to(self, target: float) -> None:
        """Steps up to a time [s], unless something is said meanwhile."""
        world, keeper, bus = self.world, self._keeper, self._bus
        step = world.timestep
        steps_per_state = max(1, round(1.0 / STATE_RATE / step))
        while world.time + step <= target + 1e-9:
            if self._heard:
                self._heard = False
                self._targets, self._torque = bus.targets(), bus.torque_on()
            elif bus.advance(step):
                self._targets = bus.targets()
            world.step(self._targets, self._torque)
            keeper.tell(min(world.time, target))
            self._count += 1
            if self._count % steps_per_state == 0:
                bus.warm(steps_per_state * step)
                self._publish(keeper.now)

    def _send(self, state: bytes) -> None:
        self._told = time.monotonic()
        if picture_number(self._keeper.now) > self._drawn:
            self._drawn, self._picture = picture_number(self._keeper.now), state
        super()._send(state)
