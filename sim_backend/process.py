"""The simulated hand as a process; its servos answer on a serial line.

Run as `python -m inhand.sim_backend`. It prints one line of JSON when the world is ready, and ends
with its parent. Another process renders the cameras from time-stamped states.
"""

import json
import os
import signal
import sys
import time
from argparse import ArgumentParser, Namespace
from contextlib import suppress
from pathlib import Path

import numpy as np

from inhand.errors import InhandError
from inhand.hardware.dynamixel.simulated_servos import with_servos
from inhand.hardware.model.hand import load_hand
from inhand.hardware.model.universe import Universe, load_universe
from inhand.perception.objects import load_object
from inhand.sim_backend.simulated_cameras import start_cameras
from inhand.sim_backend.simulation import Simulation
from inhand.sim_backend.timed_simulation import TimedSimulation
from inhand.sim_backend.world import World


def run(arguments: Namespace) -> None:
    """Starts the world, prints its addresses, and serves it."""
    directory: Path = arguments.run_dir
    hand, target = with_servos(load_hand(arguments.hand)), load_object(arguments.object)
    universe = load_universe(arguments.universe, hand) if arguments.universe else Universe()
    rng = np.random.default_rng([arguments.seed, 1])
    cameras = start_cameras(
        directory,
        arguments.hand,
        arguments.object,
        universe,
        rng,
        timed=bool(arguments.seats),
        plain=arguments.plain,
    )
    try:
        world = World(hand, target, universe, seed=arguments.seed)
        if arguments.priority:
            # Without this permission, time may slip on a busy machine, which is reported.
            with suppress(PermissionError):
                parameters = os.sched_param(arguments.priority)
                os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, parameters)
        simulation = (
            TimedSimulation(world, directory, rng, arguments.seats)
            if arguments.seats
            else Simulation(world, directory, rng)
        )
        simulation.open()
        ready = {
            "ready": True,
            "bus": simulation.port,
            "rig": str(cameras.rig),
            "cameras": cameras.addresses,
            "world": f"ipc://{directory}/world.sock",
            "up": time.monotonic(),
        }
        print(json.dumps(ready), file=arguments.report, flush=True)
        simulation.serve()
    finally:
        cameras.close()


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
