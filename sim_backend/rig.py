"""The simulated cameras: three around and above the hand, with calibrated and with true poses."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from inhand.hardware.model.hand import Hand
from inhand.hardware.model.universe import Universe
from inhand.perception import rotations
from inhand.perception.cameras import Camera, look_at
from inhand.perception.records import frozen_array
from inhand.perception.rotations import Array

WIDTH, HEIGHT = 320, 240
FOCAL_LENGTH = 440.0
"""[px]: at 0.4 m, an object may move by 6 cm to any side and stays in view."""

TARGET = (0.0, 0.335, 0.05)
"""Point that all cameras face with `dactyl24`: the usual object position, world frame [m]."""
ABOVE_CENTER = (0.0, 0.0, 0.005)
"""Position of this point relative to the middle of a hand's workspace [m]."""

POSITIONS = {
    "left": (-0.26, 0.30, 0.34),
    "right": (0.26, 0.30, 0.34),
    "wrist": (0.0, 0.04, 0.32),
}
"""Camera positions, world frame [m]. None is behind the fingertips, which would hide the object."""


def default_rig(
    width: int = WIDTH, height: int = HEIGHT, target: Sequence[float] = TARGET
) -> dict[str, Camera]:
    """The cameras by name, with the field of view kept at other image sizes.

    Args:
        width: of the images [px].
        height: of the images [px].
        target: point that they face, and around which they are placed, world frame [m].
    """
    up, shift = np.array([0.0, 0.5, 1.0]), np.array(target) - TARGET
    return {
        name: make_camera(name, at + shift, np.array(target), up, width, height)
        for name, at in POSITIONS.items()
    }


def rig_around(hand: Hand) -> dict[str, Camera]:
    """The cameras by name, around the workspace of a hand."""
    # With the rounding, the result for `dactyl24` is exactly `TARGET`.
    return default_rig(target=np.add(hand.workspace.center, ABOVE_CENTER).round(9).tolist())


def make_camera(
    name: str, position: Array, target: Array, up: Array, width: int, height: int
) -> Camera:
    """A camera without lens distortion at `position` [m] that faces `target` [m]."""
    focal = FOCAL_LENGTH * height / HEIGHT
    return Camera(
        name=name,
        width=width,
        height=height,
        matrix=frozen_array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]]),
        distortion=frozen_array(np.zeros(5)),
        position=frozen_array(position),
        quaternion=frozen_array(look_at(position, target, up)),
    )


def declared_rig(rig: dict[str, Camera], universe: Universe) -> dict[str, Camera]:
    """The calibrated cameras, with the standard deviations of `shifted_rig` as declared errors."""
    position, turn = universe.camera_shift
    return {
        name: replace(
            camera,
            position_sigma=position,
            rotation_sigma=turn,
            focal_sigma=universe.camera_focal,
        )
        for name, camera in rig.items()
    }


def shifted_rig(
    rig: dict[str, Camera], universe: Universe, rng: np.random.Generator
) -> dict[str, Camera]:
    """The true cameras, of which `rig` is the calibration.

    Args:
        rig: the cameras as calibrated, by name.
        universe: its `camera_shift` and `camera_focal` are used.
        rng: source of randomness.
    """
    position, turn = universe.camera_shift
    shifted = {}
    for name, camera in rig.items():
        matrix = np.array(camera.matrix)
        matrix[[0, 1], [0, 1]] *= 1.0 + rng.normal(0.0, universe.camera_focal)
        tilt = rotations.exp(rng.normal(0.0, turn, 3))
        shifted[name] = replace(
            camera,
            matrix=frozen_array(matrix),
            position=frozen_array(camera.position + rng.normal(0.0, position, 3)),
            quaternion=frozen_array(rotations.multiply(camera.quaternion, tilt)),
        )
    return shifted
