"""The processes that the daemon owns: the simulated hand, and one for each camera."""

import importlib.util
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from controller.config import Config
from controller.errors import StartError
from controller.keys import KeyRing
from controller.places import image_address
from perception.parent import environment

SIMULATION_TIMEOUT = 60.0
"""How long the simulated world may take to come up [s]."""

_STOP_TIMEOUT = 2.0


class SimulationReady(msgspec.Struct, frozen=True):
    """What the simulation says when its world is up.

    Attributes:
        ready: always true.
        bus: the serial port of the simulated servos.
        rig: file that describes its cameras.
        cameras: address of each camera's frames, by name.
        world: address of the world's own socket, which a real hand does not have.
        up: when that was [s on CLOCK_MONOTONIC].
    """

    ready: bool
    bus: str
    rig: str
    cameras: dict[str, str]
    world: str
    up: float = 0.0


class Child:
    """A process that ends with the daemon.

    Attributes:
        name: for messages.
    """

    def __init__(
        self,
        name: str,
        arguments: list[str],
        *,
        stdout: int | None = None,
        descriptors: Sequence[int] = (),
        ends_itself: bool = False,
    ) -> None:
        """Starts the process.

        Args:
            name: for messages.
            arguments: after the interpreter.
            stdout: as in `subprocess.Popen`.
            descriptors: that the process inherits.
            ends_itself: whether it knows when to end, and has something to complete then.
        """
        self.name = name
        self._arguments = arguments
        self._stdout = stdout
        self._descriptors = descriptors
        self._ends_itself = ends_itself
        # Threads inside numerical libraries cost more in waking than small arrays save.
        variables = {**environment(), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.PIPE,
            stdout=stdout,
            env=variables,
            pass_fds=descriptors,
            # Ctrl-C reaches the daemon alone, which then ends its children in order.
            start_new_session=True,
        )

    @property
    def ended(self) -> bool:
        return self.process.poll() is not None

    def again(self) -> "Child":
        """Starts the process once more."""
        return Child(
            self.name,
            self._arguments,
            stdout=self._stdout,
            descriptors=self._descriptors,
            ends_itself=self._ends_itself,
        )

    def stop(self) -> None:
        """Asks the process to end, and insists after a while."""
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        if self._ends_itself:
            return
        self.process.terminate()
        try:
            self.process.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start_simulation(config: Config, directory: Path, seed: int) -> Child:
    """Starts the simulated hand; `wait_for_simulation` waits until it is up.

    Raises:
        StartError: the part of the program that simulates is not installed.
    """
    missing = [
        name for name in ("sim_backend", "pybullet") if importlib.util.find_spec(name) is None
    ]
    if missing:
        raise StartError(
            f"--sim: {', '.join(missing)} is not installed; install it with "
            "`pip install 'inhand[sim]'`"
        )
    arguments = ["-m", "sim_backend", "--run-dir", str(directory), "--hand", config.hand]
    arguments += ["--object", config.object, "--seed", str(seed)]
    if config.sim.universe:
        arguments += ["--universe", config.sim.universe]
    if config.realtime.priority:
        # A real hand waits for no processor; all of the daemon still comes before it.
        arguments += ["--priority", "1"]
    return Child("simulation", arguments, stdout=subprocess.PIPE)


def wait_for_simulation(child: Child) -> SimulationReady:
    """Waits until the simulated world is up.

    Raises:
        StartError: it ended, or took too long.
    """
    stdout = child.process.stdout
    assert stdout is not None
    deadline = time.monotonic() + SIMULATION_TIMEOUT
    line = b""
    while not line.endswith(b"\n"):
        readable, _, _ = select.select([stdout], [], [], max(0.0, deadline - time.monotonic()))
        if not readable:
            raise StartError(f"the simulation was not up after {SIMULATION_TIMEOUT:.0f} s")
        piece = os.read(stdout.fileno(), 65536)
        if not piece:
            code = child.process.wait()
            raise StartError(
                f"the simulation ended with code {code} before its world was up; "
                "its own messages stand above"
            )
        line += piece
    try:
        return msgspec.json.decode(line, type=SimulationReady)
    except msgspec.DecodeError as error:
        raise StartError(f"the simulation said {line!r:.80}, which is not its address") from error


def start_gateway(config: Config, directory: Path, cameras: Iterable[str]) -> Child:
    """Starts the way in from the network, for the pictures of these cameras too.

    Raises:
        ConfigError: there is no server key yet.
    """
    network = config.network
    KeyRing(network.keys).server()
    arguments = ["-m", "controller.gateway", "--directory", str(directory), "--keys", network.keys]
    arguments += ["--command", network.command, "--state", network.state]
    for name in cameras:
        arguments += ["--image", image_address(directory, name)]
    return Child("gateway", arguments)


def start_cameras(
    sources: Mapping[str, str], rig: str, object_name: str, output: str, directory: Path
) -> list[Child]:
    """Starts one process for each camera.

    Args:
        sources: where each camera's frames come from, by its name in the rig.
        rig: file that describes the cameras.
        object_name: name or file of the object.
        output: address that tag corners are sent to.
        directory: where the sockets for their pictures are made.
    """
    return [
        Child(
            f"camera {name}",
            [
                *camera_arguments(name, source, rig, object_name, output),
                *("--preview", image_address(directory, name)),
            ],
        )
        for name, source in sources.items()
    ]


def camera_arguments(name: str, source: str, rig: str, object_name: str, output: str) -> list[str]:
    """The command line of a camera process, after the interpreter."""
    arguments = ["-m", "perception.camera_process", "--camera", name, "--source", source]
    return [*arguments, "--rig", rig, "--object", object_name, "--output", output]
