"""The simulated hand as a process; its servos answer on a serial line.

Run as `python -m inhand.sim_backend`. It prints one line of JSON when the world is ready, and ends
with its parent. Another process renders the cameras from time-stamped states.
"""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
import tty
from argparse import ArgumentParser, Namespace
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import zmq

from inhand.errors import InhandError
from inhand.hardware.dynamixel.stand_ins import with_servos
from inhand.hardware.model.hand import load_hand
from inhand.hardware.model.universe import Universe, load_universe
from inhand.hardware.records import Array
from inhand.perception.cameras import save_rig
from inhand.perception.objects import load_object
from inhand.perception.parent import Parent, end_process, environment
from inhand.sim_backend.emulator import ServoBus
from inhand.sim_backend.rig import declared_rig, rig_around, shifted_rig
from inhand.sim_backend.states import encode_state
from inhand.sim_backend.world import World

STATE_RATE = 100.0
"""Rate of states published for the renderer [Hz]."""
LARGEST_LAG = 0.1
"""Largest delay that the world makes up for; with a larger one, its time slips [s]."""
RENDERER_TIMEOUT = 60.0


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
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context.instance()
        # XPUB, unlike PUB, reports subscriptions.
        self._states = context.socket(zmq.XPUB)
        self._requests = context.socket(zmq.REP)
        for socket, name in ((self._states, "world-states"), (self._requests, "world")):
            socket.set(zmq.LINGER, 0)
            socket.bind(f"ipc://{self._directory}/{name}.sock")

    def serve(self) -> None:
        """Steps the world in real time and answers, until the parent has ended."""
        parent = Parent()
        step = self.world.timestep
        steps_per_state = max(1, round(1.0 / STATE_RATE / step))
        targets, torque = self._bus.targets(), self._bus.torque_on()
        deadline, count = time.monotonic(), 0
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

    def now(self) -> float:
        """The present time [s], the time base of frames and states."""
        return time.monotonic()

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
                    "t": self.now(),
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


def start_renderer(
    arguments: Namespace, universe: Universe, rig: Path, addresses: dict[str, str]
) -> "subprocess.Popen[bytes]":
    """Starts the process that renders the cameras, and waits until it is ready.

    Raises:
        InhandError: the process did not get ready.
    """
    command = [sys.executable, "-P", "-m", "inhand.sim_backend.renderer", "--hand", arguments.hand]
    command += ["--object", arguments.object, "--object-scale", str(universe.object_size)]
    command += ["--rig", str(rig), "--states", f"ipc://{arguments.run_dir}/world-states.sock"]
    if arguments.seats:
        command += ["--timed"]
    if arguments.plain:
        command += ["--plain"]
    for name, address in addresses.items():
        command += ["--camera", f"{name}={address}"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, env=environment()
    )
    assert process.stdout is not None
    readable, _, _ = select.select([process.stdout], [], [], RENDERER_TIMEOUT)
    if not readable or not process.stdout.readline():
        end_process(process)
        raise InhandError("simulation: the renderer did not start; see its messages above")
    return process


def _simulation(world: World, directory: Path, rng: np.random.Generator, seats: int) -> Simulation:
    if not seats:
        return Simulation(world, directory, rng)
    from inhand.sim_backend.timed_simulation import TimedSimulation

    return TimedSimulation(world, directory, rng, seats)


def run(arguments: Namespace) -> None:
    """Starts the world, prints its addresses, and serves it."""
    directory: Path = arguments.run_dir
    hand, target = with_servos(load_hand(arguments.hand)), load_object(arguments.object)
    universe = load_universe(arguments.universe, hand) if arguments.universe else Universe()
    rng = np.random.default_rng([arguments.seed, 1])
    calibrated, actual = directory / "rig.toml", directory / "rig-as-it-is.toml"
    rig = rig_around(hand)
    save_rig(calibrated, declared_rig(rig, universe))
    save_rig(actual, shifted_rig(rig, universe, rng))
    addresses = {name: f"ipc://{directory}/camera-{name}.sock" for name in rig}
    renderer = start_renderer(arguments, universe, actual, addresses)
    try:
        world = World(hand, target, universe, seed=arguments.seed)
        if arguments.priority:
            # Without this permission, time may slip on a busy machine, which is reported.
            with suppress(PermissionError):
                parameters = os.sched_param(arguments.priority)
                os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, parameters)
        simulation = _simulation(world, directory, rng, arguments.seats)
        simulation.open()
        ready = {
            "ready": True,
            "bus": simulation.port,
            "rig": str(calibrated),
            "cameras": addresses,
            "world": f"ipc://{directory}/world.sock",
            "up": time.monotonic(),
        }
        print(json.dumps(ready), file=arguments.report, flush=True)
        simulation.serve()
    finally:
        end_process(renderer)


def main() -> None:
    """Entry point of `python -m inhand.sim_backend`."""
    parser = ArgumentParser(prog="python -m inhand.sim_backend", description=__doc__)
    parser.add_argument("--run-dir", type=Path, required=True, help="directory for sockets")
    parser.add_argument("--hand", required=True, help="name or file of the hand")
    parser.add_argument("--object", required=True, help="name or file of the object")
    parser.add_argument("--seed", type=int, required=True, help="seed of all random draws")
    parser.add_argument("--priority", type=int, default=0, help="SCHED_FIFO; 0 is the ordinary one")
    parser.add_argument(
        "--seats",
        type=int,
        default=0,
        help="number of programs that join before simulated time begins; 0 is real time",
    )
    parser.add_argument(
        "--plain", action="store_true", help="draw the object without tags, in its own look"
    )
    parser.add_argument("--universe", type=Path, help="file with what differs from nominal")
    arguments = parser.parse_args()
    # The parent handles Ctrl-C and then ends this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # PyBullet prints a banner to standard output, where the parent expects one line of JSON.
    arguments.report = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    try:
        run(arguments)
    except InhandError as error:
        sys.exit(f"error: {error}")
