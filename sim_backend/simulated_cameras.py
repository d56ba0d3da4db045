"""The cameras of a simulated hand: their rig files, and the process that renders them."""

import select
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from inhand.errors import InhandError
from inhand.hardware.model.hand import load_hand
from inhand.hardware.model.universe import Universe
from inhand.perception.cameras import save_rig
from inhand.perception.parent import end_process, environment
from inhand.sim_backend.rig import declared_rig, rig_around, shifted_rig
from inhand.sim_backend.states import states_address

RENDERER_TIMEOUT = 60.0
"""Time limit for the start of the renderer [s]."""


@dataclass(frozen=True)
class SimulatedCameras:
    """Cameras that are rendered from the states of a world.

    Attributes:
        rig: file that describes them as calibrated.
        addresses: where each camera's frames are published, by its name in the rig.
        renderer: the process.
    """

    rig: Path
    addresses: dict[str, str]
    renderer: "subprocess.Popen[bytes]"

    def close(self) -> None:
        """Ends the process."""
        end_process(self.renderer)


def start_cameras(
    directory: Path,
    hand: str,
    target: str,
    universe: Universe,
    rng: np.random.Generator,
    *,
    timed: bool = False,
    plain: bool = False,
) -> SimulatedCameras:
    """Writes the rig files and starts the renderer; it is ready when this returns.

    Args:
        directory: for files and sockets; the world publishes its states there (`bind_states`).
        hand: name or file of the hand.
        target: name or file of the object.
        universe: errors of the cameras, and the object's size.
        rng: of those errors.
        timed: whether time is simulated.
        plain: whether the object is drawn without tags, in its own look.

    Raises:
        InhandError: the renderer did not get ready.
    """
    calibrated, actual = directory / "rig.toml", directory / "rig-as-it-is.toml"
    rig = rig_around(load_hand(hand))
    save_rig(calibrated, declared_rig(rig, universe))
    save_rig(actual, shifted_rig(rig, universe, rng))
    addresses = {name: f"ipc://{directory}/camera-{name}.sock" for name in rig}
    command = [sys.executable, "-P", "-m", "inhand.sim_backend.renderer", "--hand", hand]
    command += ["--object", target, "--object-scale", str(universe.object_size)]
    command += ["--rig", str(actual), "--states", states_address(directory)]
    command += [f"--{name}" for name, wanted in (("timed", timed), ("plain", plain)) if wanted]
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
    return SimulatedCameras(calibrated, addresses, process)
