"""False detections of a network in PyBullet's renderer: other objects, and empty hands."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from inhand.hardware.model.hand import Hand
from inhand.perception.appearance import FaceMark
from inhand.perception.cameras import Camera
from inhand.perception.keypoints.detector import AT_ONCE, RINGS, VertexDetector
from inhand.perception.keypoints.network import VertexNetwork
from inhand.perception.objects import OBJECTS, ObjectDescription, load_object
from inhand.perception.rotations import Array
from inhand.perception.tags import Image
from inhand.training.vision.states import States

AWAY = np.array([0.0, 0.0, 3.0])
"""Where an object is that is not in the hand [m]."""
FRAMES = -(-((2 * RINGS + 1) ** 2) // AT_ONCE)
"""In so many frames, the whole workspace is searched."""

Counts = dict[str, tuple[int, int]]
"""Of each kind of picture: how many were refused, and how many there were."""


def count_refusals(
    network: VertexNetwork,
    hand: Hand,
    cameras: Mapping[str, Camera],
    target: ObjectDescription,
    states: States,
    count: int,
    seed: int,
) -> Counts:
    """Searches pictures that do not show the object, each as if nothing was known before.

    Args:
        network: of the object.
        hand: the hand.
        cameras: the rig.
        target: the object.
        states: of trials that no picture of the training shows.
        count: number of pictures of each kind.
        seed: of the choice.
    """
    from inhand.sim_backend.scene import Scene

    others = {
        "empty hand": (target, False),
        "the object in other colours": (_repainted(target), False),
    }
    for path in sorted(OBJECTS.glob("*.toml")):
        known = load_object(path.stem)
        if known.tags:
            others[f"{known.name} with tags"] = (known, True)
    center = np.array(hand.workspace.center)
    rng, counts, names = np.random.default_rng(seed), Counts(), list(cameras)
    for kind, (description, tagged) in others.items():
        with tempfile.TemporaryDirectory(prefix="inhand-judge-") as directory:
            scene = Scene(hand, description, Path(directory), tagged=tagged)
        refused = 0
        for number in range(count):
            i = rng.integers(len(states.positions))
            away = AWAY if kind == "empty hand" else 0.0
            scene.place(states.joints[i], states.positions[i] + away, states.quaternions[i])
            camera = cameras[names[number % len(names)]]
            refused += not _found(network, camera, target, center, scene.render(camera))
        scene.close()
        counts[kind] = refused, count
    for kind, draw in _without_light(rng).items():
        refused = 0
        for number in range(count):
            camera = cameras[names[number % len(names)]]
            refused += not _found(network, camera, target, center, draw(camera))
        counts[kind] = refused, count
    return counts


def _found(
    network: VertexNetwork,
    camera: Camera,
    target: ObjectDescription,
    center: Array,
    image: Image,
) -> bool:
    detector = VertexDetector(camera, target, network, center)
    return any(detector.detect(image, 0.0).seen for _ in range(FRAMES))


def _repainted(target: ObjectDescription) -> ObjectDescription:
    """The object with colours and letters that its network has not seen."""
    paints = [(30, 200, 200), (240, 150, 190), (120, 75, 40), (20, 40, 80), (150, 160, 20)]
    marks = {
        name: FaceMark(paints[i % len(paints)], "XZMQWT"[i % 6])
        for i, name in enumerate(target.faces)
    }
    return replace(target, appearance=marks)


def _without_light(rng: np.random.Generator) -> dict[str, Callable[[Camera], Image]]:
    """Pictures by night, and with something in front of the lens."""

    def noisy(camera: Camera, level: Array, noise: float) -> Image:
        shape = (camera.height, camera.width, 3)
        return np.clip(level + rng.normal(0.0, noise, shape), 0, 255).astype(np.uint8)

    return {
        "night": lambda camera: noisy(camera, np.zeros(3), rng.uniform(2.0, 10.0)),
        "a hand over the lens": lambda camera: noisy(
            camera, np.array([190.0, 120.0, 95.0]) * rng.uniform(0.1, 1.2), rng.uniform(1.0, 6.0)
        ),
    }
