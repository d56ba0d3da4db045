"""Rendered images for perception: covering fingers, lens distortion, blur, noise, uneven light."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from inhand.hardware.model.hand import load_hand
from inhand.perception import rotations
from inhand.perception.cameras import Camera
from inhand.perception.objects import load_object
from inhand.perception.records import frozen_array
from inhand.perception.rotations import Array
from inhand.perception.tags import Image
from inhand.sim_backend.rig import default_rig
from inhand.sim_backend.scene import Scene

HAND, BLOCK = load_hand("dactyl24"), load_object("block")

LENS = (-0.12, 0.05, 0.0005, -0.0005, 0.0)
"""Distortion of every camera: ten pixels in the corners of a picture of 640x480."""

FINGERS = 0.15
"""Standard deviation of every servo from rest [rad]: fingers before, beside and off it."""


@dataclass(frozen=True)
class Shot:
    """Images of three cameras at one instant, and the true pose.

    Attributes:
        position: of the object, world frame [m], (3,).
        quaternion: world from object, wxyz, (4,).
        images: grey, (height, width), by camera.
    """

    position: Array
    quaternion: Array
    images: dict[str, Image]


def true_rig(width: int, height: int) -> dict[str, Camera]:
    """The true cameras with lens distortion, by name."""
    rig = default_rig(width, height)
    return {name: replace(camera, distortion=frozen_array(LENS)) for name, camera in rig.items()}


def static_shots(count: int, width: int, height: int) -> Iterator[Shot]:
    """The block in random orientations near the palm, fingers in random poses near rest."""
    poses, sensor = np.random.default_rng(20), np.random.default_rng(21)
    with _scene() as scene:
        for _ in range(count):
            position = np.array([0.0, 0.335, 0.055]) + poses.normal(0.0, 0.01, 3)
            quaternion = rotations.random_quaternion(poses)
            servos = HAND.rest + poses.normal(0.0, FINGERS, HAND.n_actuators)
            yield _shot(scene, servos, position, quaternion, width, height, sensor)


def turning(count: int, rate: float, width: int, height: int) -> Iterator[Shot]:
    """The block turning at 2 rad/s and swaying by a centimetre, at `rate` [Hz]."""
    rng = np.random.default_rng(22)
    quaternion = rotations.random_quaternion(rng)
    step = rotations.exp(np.array([0.6, 0.0, 0.8]) * 2 / rate)
    with _scene() as scene:
        for k in range(count):
            quaternion = rotations.normalize(rotations.multiply(step, quaternion))
            sway = 0.01 * np.sin(3 * k / rate + np.arange(3.0))
            servos = HAND.rest + 0.1 * np.sin(2 * k / rate + np.arange(HAND.n_actuators))
            position = np.array([0.0, 0.335, 0.055]) + sway
            yield _shot(scene, servos, position, quaternion, width, height, rng)


@contextmanager
def _scene() -> Iterator[Scene]:
    with tempfile.TemporaryDirectory(prefix="inhand-renders-") as directory:
        scene = Scene(HAND, BLOCK, Path(directory))
    yield scene
    scene.close()


def _shot(
    scene: Scene,
    servos: Array,
    position: Array,
    quaternion: Array,
    width: int,
    height: int,
    rng: np.random.Generator,
) -> Shot:
    scene.place(HAND.joint_angles(servos), position, quaternion)
    images = {
        name: sensed(scene.render(camera), rng) for name, camera in true_rig(width, height).items()
    }
    return Shot(position, quaternion, images)


def sensed(image: Image, rng: np.random.Generator) -> Image:
    """Sensor model, RGB to grey: blur, noise, and light from one side."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    # Defocus and motion blur.
    across, down = rng.uniform(0.5, 1.0, 2) * image.shape[0] / 480
    blurred = cv2.GaussianBlur(grey, (0, 0), sigmaX=across, sigmaY=down)
    dim, bright = rng.uniform(0.6, 1.0, 2)
    light = np.linspace(dim, bright, image.shape[1], dtype=np.float32)
    noise = rng.standard_normal(grey.shape, dtype=np.float32)
    return np.asarray(np.clip(light * blurred + 3.0 * noise, 0, 255), dtype=np.uint8)
