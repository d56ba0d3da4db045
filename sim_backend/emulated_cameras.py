"""The cameras of `inhand emulate`: rendered images of the hand that the servos move."""

import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import numpy as np

from inhand.errors import InhandError
from inhand.hardware.model.universe import Universe
from inhand.hardware.records import Array
from inhand.sim_backend.simulated_cameras import start_cameras
from inhand.sim_backend.states import STATE_RATE, bind_states, encode_state

_LONGEST_PATH = 80
"""Longest path of the folder: those of sockets in it must stay below the system's 107 bytes."""


class Visible(Protocol):
    """What a camera sees of a world."""

    def joint_angles(self) -> Array:
        """Angles of all joints [rad], (n_joints,)."""
        ...

    def object_pose(self) -> tuple[Array, Array]:
        """Position [m], world frame, (3,), and quaternion, world from object, wxyz, (4,)."""
        ...


class EmulatedCameras:
    """Cameras whose frames any program reads from sockets in a folder.

    Args:
        directory: the folder; made by `open`, removed by `close`.
        hand: name or file of the hand.
        target: name or file of the object.
        world: what they see.
        seed: of the errors of their calibration.
    """

    def __init__(
        self, directory: Path, hand: str, target: str, world: Visible, seed: int = 1
    ) -> None:
        self.directory = directory.absolute()
        self._hand, self._target, self._world, self._seed = hand, target, world, seed
        self._next = 0.0

    def open(self) -> None:
        """Makes the folder and starts the renderer.

        Raises:
            InhandError: the folder exists, or cannot be made; or the renderer did not start.
        """
        if len(str(self.directory).encode()) > _LONGEST_PATH:
            raise InhandError(
                f"--cameras {self.directory}: {_LONGEST_PATH} bytes at most, as sockets are made "
                "in it; choose a shorter one"
            )
        try:
            self.directory.mkdir()
        except OSError as error:
            raise InhandError(
                f"--cameras {self.directory}: {error.strerror}; name a folder to be made"
            ) from error
        with ExitStack() as undo:
            undo.callback(shutil.rmtree, self.directory)
            self._states = bind_states(self.directory)
            undo.callback(self._states.close)
            self._cameras = start_cameras(
                self.directory,
                self._hand,
                self._target,
                Universe(),
                np.random.default_rng([self._seed, 1]),
            )
            undo.pop_all()

    @property
    def sources(self) -> str:
        """The keys of a configuration's table [cameras] that name them."""
        listed = ", ".join(f'{name} = "{at}"' for name, at in self._cameras.addresses.items())
        return f'rig = "{self._cameras.rig}"\nsources = {{ {listed} }}'

    def show(self, t: float) -> None:
        """Publishes the state of the world at time `t` [s on CLOCK_MONOTONIC], if one is due."""
        if t >= self._next:
            self._next = t + 1.0 / STATE_RATE
            position, quaternion = self._world.object_pose()
            self._states.send(encode_state(t, self._world.joint_angles(), position, quaternion))

    def close(self) -> None:
        """Ends the renderer and removes the folder."""
        self._cameras.close()
        self._states.close()
        shutil.rmtree(self.directory)
