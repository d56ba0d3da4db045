"""Sets of windows with the pixels of the object's corners: what the network learns from."""

import io
import multiprocessing
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from inhand.files import write_whole
from inhand.hardware.model.hand import Hand, load_hand
from inhand.perception import rotations
from inhand.perception.cameras import Camera, load_rig
from inhand.perception.keypoints.window import Window, window_around
from inhand.perception.objects import load_object
from inhand.perception.rotations import Array
from inhand.perception.tags import Image
from inhand.sim_backend.rig import rig_around
from inhand.training.vision.states import States
from inhand.training.vision.studio import PictureStudio, VisionError, all_cameras, worn

ABSENT = 0.2
"""Share of windows without the object."""
DECOY = 0.6
"""Share of these that show another object in its place."""
NOWHERE = np.array([0.0, 0.0, -9.0])


@dataclass(frozen=True)
class Crops:
    """Windows, n of them.

    Attributes:
        images: RGB, (n, 96, 96, 3).
        points: the object's vertices in units of half the window, (n, vertices, 2).
        present: whether the object is in the window, (n,).
        picture_size: width and height of the cameras' pictures [px].
    """

    images: NDArray[np.uint8]
    points: Array
    present: NDArray[np.bool_]
    picture_size: tuple[int, int]


def draw_crops(
    hand_name: str, target_name: str, rig: Path | None, states: States, count: int, seed: int
) -> Crops:
    """Renders windows of random states, looks and cameras.

    The object's symmetries turn the marked object in place: the physics of the state stays valid.

    Args:
        hand_name: name or file of the hand.
        target_name: name or file of the object.
        rig: file of the cameras; the simulated ones if None.
        states: where hand and object may be.
        count: number of windows.
        seed: of all that is random.

    Raises:
        VisionError: there is no renderer, or the object has no appearance.
    """
    hand, target = load_hand(hand_name), load_object(target_name)
    rng, cameras = np.random.default_rng(seed), rig_of(hand, rig)
    images, points, present = list[Image](), list[Array](), list[bool]()
    with PictureStudio(hand, target) as studio:
        while len(images) < count:
            i = rng.integers(len(states.positions))
            position = states.positions[i] + rng.normal(0.0, 0.004, 3)
            quaternion = rotations.multiply(states.quaternions[i], rng.choice(target.symmetry))
            tilt = rotations.exp(rng.normal(0.0, 0.15, 3))
            quaternion = rotations.multiply(quaternion, tilt)
            joints = states.joints[i] + rng.normal(0.0, 0.05, states.joints.shape[1])
            gone = rng.random() < ABSENT
            away = position + [0.0, 0.0, 5.0] if gone else position
            studio.place(joints, away, quaternion)
            studio.dress(rng, position)
            other = gone and rng.random() < DECOY
            studio.swap(rng, position if other else NOWHERE, quaternion)
            for camera in all_cameras(cameras, rng):
                window = _loose(window_around(camera, target, position), rng)
                images.append(worn(window.cut(studio.render(camera)), rng))
                vertices = position + rotations.rotate(quaternion, target.vertices)
                points.append(window.from_picture(camera.project(vertices)))
                present.append(not gone)
    return Crops(np.array(images), np.array(points), np.array(present), size_of(cameras))


def rig_of(hand: Hand, rig: Path | None) -> dict[str, Camera]:
    """The cameras of a rig file, or the simulated ones around a hand.

    Raises:
        PerceptionError: the file cannot be used.
    """
    return rig_around(hand) if rig is None else load_rig(rig)


def size_of(cameras: Mapping[str, Camera]) -> tuple[int, int]:
    """Width and height of the pictures of all cameras [px].

    Raises:
        VisionError: they differ.
    """
    sizes = {(camera.width, camera.height) for camera in cameras.values()}
    if len(sizes) != 1:
        listed = ", ".join(f"{width}x{height}" for width, height in sorted(sizes))
        raise VisionError(f"one network needs cameras of one picture size; the rig has {listed}")
    return sizes.pop()


def _loose(window: Window, rng: np.random.Generator) -> Window:
    """The window as a prediction or a search gives it: not quite in its place."""
    wide = rng.random() < 0.2
    shift = rng.normal(0.0, (0.12 if wide else 0.04) * window.side, 2)
    return Window(window.center + shift, window.side * float(np.exp(rng.normal(0.0, 0.07))))


def draw_in_parallel(
    hand: str,
    target: str,
    rig: Path | None,
    states: States,
    count: int,
    seed: int,
    jobs: int,
) -> Crops:
    """`draw_crops` in several processes."""
    each = -(-count // jobs)
    # Not forked: the threads of the renderer and of ONNX Runtime do not exist in a forked process.
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        parts = [
            pool.submit(draw_crops, hand, target, rig, states, each, seed + job)
            for job in range(jobs)
        ]
        done = [part.result() for part in parts]
    return Crops(
        np.concatenate([part.images for part in done]),
        np.concatenate([part.points for part in done]),
        np.concatenate([part.present for part in done]),
        done[0].picture_size,
    )


def save_crops(crops: Crops, path: Path) -> None:
    """Writes the windows whole or not at all (NPZ).

    Raises:
        WriteError: the file cannot be written.
    """
    buffer = io.BytesIO()
    np.savez(
        buffer,
        images=crops.images,
        points=crops.points,
        present=crops.present,
        picture_size=crops.picture_size,
    )
    write_whole(path, buffer.getvalue())


def load_crops(path: Path) -> Crops:
    """Reads a file of `save_crops`.

    Raises:
        VisionError: it is missing or damaged.
    """
    try:
        with np.load(path) as data:
            width, height = data["picture_size"].tolist()
            return Crops(data["images"], data["points"], data["present"], (width, height))
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise VisionError(
            f"pictures {path}: {error}; draw them with inhand vision render"
        ) from error
