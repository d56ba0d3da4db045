"""The daemon's child processes: the simulated hand, the gateway, and one for each camera."""

import importlib.util
import os
import select
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from inhand.controller.config.config import Config
from inhand.controller.config.eyes import eyes_of
from inhand.controller.config.sections import CameraConfig
from inhand.controller.errors import StartError
from inhand.controller.ipc.keys import KeyRing
from inhand.controller.system.child_process import Child
from inhand.controller.system.paths import image_address
from inhand.errors import remedy
from inhand.perception.objects import load_object

SIMULATION_TIMEOUT = 120.0
"""Time limit for the start of the simulated world [s]."""


class SimulationReady(msgspec.Struct, frozen=True):
    """The message of the simulation when its world is ready.

    Attributes:
        ready: always true.
        bus: the serial port of the simulated servos.
        rig: file that describes its cameras.
        cameras: address of each camera's frames, by name.
        world: address of the world's own socket, which a real hand does not have.
        up: time at which it was ready [s on CLOCK_MONOTONIC].
    """

    ready: bool
    bus: str
    rig: str
    cameras: dict[str, str]
    world: str
    up: float = 0.0


def start_simulation(config: Config, directory: Path, seed: int, seats: int = 0) -> Child:
    """Starts the simulated hand; `wait_for_simulation` waits until it is ready.

    Args:
        config: the daemon's configuration.
        directory: directory of the daemon's sockets.
        seed: seed of the random numbers.
        seats: number of programs that must join simulated time before it starts; 0: real time.

    Raises:
        StartError: the simulation is not installed.
    """
    needed = ("inhand.sim_backend", "pybullet")
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        raise StartError(f"--sim: {', '.join(missing)} is not installed; {remedy('sim')}")
    arguments = ["-m", "inhand.sim_backend", "--run-dir", str(directory), "--hand", config.hand]
    arguments += ["--object", config.object, "--seed", str(seed)]
    if seats:
        arguments += ["--seats", str(seats)]
    target = load_object(config.object)
    if eyes_of(config.cameras, target) == "network" or target.eyes == "both":
        arguments += ["--plain"]
    if config.sim.universe:
        arguments += ["--universe", config.sim.universe]
    if config.realtime.priority:
        # A real hand needs no processor time, so the simulation has real-time priority too, but
        # lower than the daemon's.
        arguments += ["--priority", "1"]
    return Child("simulation", arguments, stdout=subprocess.PIPE).start()


def wait_for_simulation(child: Child) -> SimulationReady:
    """Waits until the simulated world is ready.

    Raises:
        StartError: the simulation ended, or did not start in time.
    """
    stdout = child.process.stdout
    assert stdout is not None
    deadline = time.monotonic() + SIMULATION_TIMEOUT
    line = b""
    while not line.endswith(b"\n"):
        readable, _, _ = select.select([stdout], [], [], max(0.0, deadline - time.monotonic()))
        if not readable:
            raise StartError(f"the simulation was not ready after {SIMULATION_TIMEOUT:.0f} s")
        piece = os.read(stdout.fileno(), 65536)
        if not piece:
            code = child.process.wait()
            raise StartError(
                f"the simulation ended with code {code} before its world was ready; "
                "its own messages are above"
            )
        line += piece
    try:
        return msgspec.json.decode(line, type=SimulationReady)
    except msgspec.DecodeError as error:
        raise StartError(
            f"the simulation sent {line!r:.80} instead of its ready message"
        ) from error


def start_gateway(config: Config, directory: Path, cameras: Iterable[str]) -> Child:
    """Starts the network gateway, which also forwards the images of these cameras.

    Raises:
        ConfigError: there is no server key yet.
    """
    network = config.network
    KeyRing(network.keys).server()
    arguments = [
        "-m",
        "inhand.controller.ipc.gateway",
        "--directory",
        str(directory),
        "--keys",
        network.keys,
    ]
    arguments += ["--command", network.command, "--state", network.state]
    for name in cameras:
        arguments += ["--image", image_address(directory, name)]
    return Child("gateway", arguments).start()


def start_cameras(
    sources: Mapping[str, str],
    rig: str,
    object_name: str,
    output: str,
    directory: Path,
    *,
    timed: bool = False,
    settings: Mapping[str, CameraConfig] | None = None,
    eyes: Sequence[str] = (),
) -> list[Child]:
    """Starts one process for each camera.

    Args:
        sources: source of each camera's frames, by the camera's name in the rig.
        rig: file that describes the cameras.
        object_name: name or file of the object.
        output: address that tag corners are sent to.
        directory: directory of the sockets for the preview images.
        timed: whether they run in the simulated time of that directory.
        settings: of the devices, by the camera's name.
        eyes: arguments that say what finds the object; none for tags.
    """
    settings = settings or {}
    time = ["--time", str(directory)] if timed else []
    return [
        Child(
            f"camera {name}",
            [
                *camera_arguments(name, source, rig, object_name, output),
                *("--preview", image_address(directory, name)),
                *_settings(settings.get(name)),
                *eyes,
                *time,
            ],
        ).start()
        for name, source in sources.items()
    ]


def _settings(device: CameraConfig | None) -> list[str]:
    """The settings of a device for a camera process."""
    if device is None:
        return []
    wanted = {key: value for key, value in msgspec.to_builtins(device).items() if key != "source"}
    return ["--settings", msgspec.json.encode(wanted).decode()]


def camera_arguments(name: str, source: str, rig: str, object_name: str, output: str) -> list[str]:
    """The command line of a camera process, after the interpreter."""
    arguments = [
        "-m",
        "inhand.perception.camera.camera_process",
        "--camera",
        name,
        "--source",
        source,
    ]
    return [*arguments, "--rig", rig, "--object", object_name, "--output", output]
