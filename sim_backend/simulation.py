"""The simulated hand in real time: world, serial line and sockets."""

import os
import pty
import select
import sys
import time
import tty
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import zmq

from inhand.hardware.records import Array
from inhand.perception.parent import Parent
from inhand.sim_backend.emulator import ServoBus
from inhand.sim_backend.states import STATE_RATE, bind_states, encode_state
from inhand.sim_backend.world import World

LARGEST_LAG = 0.1
"""Largest delay that the world makes up for; with a larger one, its time slips [s]."""


class Simulation:
    """World, serial line and sockets of one run.

    Args:
        world: the physics.
        directory: for the sockets.
        rng: of the joint sensors' noise.

    Attributes:
        port: device file of the serial line.
        slipped: time by which the world has slipped behind real time [s].
        taken: number of bytes received on the line.
    """

    def __init__(self, world: World, directory: Path, rng: np.random.Generator) -> None:
        self.world, self.slipped, self.taken = world, 0.0, 0
        self._reached = 0.0
        self._rng = rng
        hand, universe = world.hand, world.universe
        self._bias = rng.normal(0.0, universe.joint_noise[1], hand.n_actuators)
        self._bus = ServoBus(hand, self._measure)
        self._directory = directory

    def open(self) -> None:
        """Makes the serial line and the sockets."""
        # The other end stays open here, so that the line persists when a client closes it.
        self._line, self._other_end = pty.openpty()
        tty.setraw(self._other_end)
        os.set_blocking(self._line, False)
        self.port = os.ttyname(self._other_end)
        self._states = bind_states(self._directory)
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context.instance()
        self._requests = context.socket(zmq.REP)
        self._requests.set(zmq.LINGER, 0)
        self._requests.bind(f"ipc://{self._directory}/world.sock")

    def serve(self) -> None:
        """Steps the world in real time and answers, until the parent has ended."""
        parent = Parent()
        step = self.world.timestep
        steps_per_state = max(1, round(1.0 / STATE_RATE / step))
        targets, torque = self._bus.targets(), self._bus.torque_on()
        deadline, count = time.monotonic(), 0
        self._reached = deadline
        while parent.alive:
            deadline += step
            if self._listen(deadline):
                targets, torque = self._bus.targets(), self._bus.torque_on()
            # The bus watchdogs count the world's time, so that its delays do not trip them.
            elif self._bus.advance(step):
                targets = self._bus.targets()
            if self._bus.move(step):
                targets = self._bus.targets()
            self.world.step(targets, torque)
            self._reached = deadline
            count += 1
            if count % steps_per_state == 0:
                self._bus.warm(steps_per_state * step)
                self._publish(deadline)
                self._answer()
            lag = time.monotonic() - deadline
            if lag > LARGEST_LAG:
                self.slipped += lag
                deadline += lag
                print(f"simulation: {lag:.2f} s behind; time slips", file=sys.stderr, flush=True)

    def _listen(self, deadline: float) -> bool:
        """Serves the line until the deadline; returns whether anything came."""
        came = False
        while True:
            patience = deadline - time.monotonic()
            readable, _, _ = select.select([self._line], [], [], max(0.0, patience))
            if readable:
                came = True
                self._serve_line()
            elif patience <= 0:
                return came

    def state_time(self) -> float:
        """Time of the world's present state [s], in the time base of frames and states.

        It is as far in the past as the world is behind real time.
        """
        return self._reached

    def _serve_line(self) -> None:
        """Reads the line and answers."""
        data = os.read(self._line, 65536)
        self.taken += len(data)
        answer = self._bus.receive(data)
        if answer:
            self._reply(answer)

    def _reply(self, answer: bytes) -> None:
        try:
            os.write(self._line, answer)
        except BlockingIOError:
            # No program reads: on a real line the bytes would be lost in the same way.
            return

    def _measure(self) -> tuple[Array, Array, Array]:
        position, velocity, current = self.world.encoders()
        noise = self.world.universe.joint_noise[0]
        if noise:
            position = position + self._rng.normal(0.0, noise, len(position))
        return position + self._bias, velocity, current

    def _publish(self, t: float) -> None:
        position, quaternion = self.world.object_pose()
        self._send(encode_state(t, self.world.joint_angles(), position, quaternion))

    def _send(self, state: bytes) -> None:
        self._states.send(state, zmq.NOBLOCK)

    def _answer(self) -> None:
        """Answers one request on the world's socket, if there is one."""
        try:
            message = self._requests.recv(zmq.NOBLOCK)
        except zmq.Again:
            return
        try:
            reply = self._perform(msgspec.json.decode(message, type=dict[str, Any]))
        except (msgspec.DecodeError, ValueError, TypeError) as error:
            reply = {"ok": False, "error": f"world: {error}"}
        self._requests.send(msgspec.json.encode(reply))

    def _perform(self, request: dict[str, Any]) -> dict[str, Any]:
        world = self.world
        match request.get("type"):
            case "place":
                world.place_object(_quaternion(request.get("quaternion")))
            case "reset":
                world.reset(_quaternion(request.get("quaternion")))
            case "state":
                position, quaternion = world.object_pose()
                return {
                    "ok": True,
                    "t": self.state_time(),
                    "position": position.tolist(),
                    "quaternion": quaternion.tolist(),
                    "joints": world.joint_angles().tolist(),
                    "dropped": world.dropped(),
                    "slipped": self.slipped,
                    "universe": msgspec.to_builtins(world.universe),
                }
            case other:
                raise ValueError(f"unknown request {other!r}; there are place, reset and state")
        return {"ok": True}


def _quaternion(given: object) -> Array | None:
    """A unit quaternion (4,), wxyz, from a request; None for a random one."""
    if given is None:
        return None
    values = np.array(given, dtype=np.float64)
    length = float(np.linalg.norm(values))
    if values.shape != (4,) or not 0.999 < length < 1.001:
        raise ValueError(f"quaternion {given} must be four numbers (w, x, y, z) of length 1")
    quaternion: Array = values / length
    return quaternion
