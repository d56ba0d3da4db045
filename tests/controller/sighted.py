"""Tag corners that cameras of a rig would see of an object, with latency and staggered triggers."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from inhand.perception import rotations
from inhand.perception.cameras import Camera
from inhand.perception.objects import ObjectDescription
from inhand.perception.records import TagCorners, frozen_array
from inhand.perception.rotations import Array

RATE = 15.0
"""Frames a second of a camera."""

LATENCY = 0.04
"""From capture to arrival [s]."""

Trajectory = Callable[[float], tuple[Array, Array]]
"""Position [m], (3,), and quaternion, wxyz, (4,), at a time [s]."""


def frame(
    target: ObjectDescription,
    camera: Camera,
    t: float,
    pose: tuple[Array, Array],
    rng: np.random.Generator,
    noise: float = 0.1,
) -> TagCorners:
    """The tags that face the camera and lie within its image.

    Args:
        target: the object.
        camera: the camera as it really is.
        t: capture time [s].
        pose: position and quaternion of the object.
        rng: source of the corner noise.
        noise: of a corner coordinate [px].
    """
    position, quaternion = pose
    seen: dict[int, Array] = {}
    for tag in target.tags:
        normal = rotations.rotate(quaternion, tag.rotation[:, 2])
        points = position + rotations.rotate(quaternion, tag.corners)
        sight = camera.position - points.mean(axis=0)
        if normal @ sight < 0.3 * np.linalg.norm(sight):
            continue
        pixels = camera.project(points)
        if (pixels > 0).all() and (pixels < [camera.width - 1, camera.height - 1]).all():
            seen[tag.id] = pixels + rng.normal(0.0, noise, pixels.shape)
    corners = np.array(list(seen.values())).reshape(-1, 4, 2)
    return TagCorners(t, camera.name, tuple(seen), frozen_array(corners), noise)


def frames(
    target: ObjectDescription,
    rig: Mapping[str, Camera],
    trajectory: Trajectory,
    rng: np.random.Generator,
    seconds: float,
    *,
    start: float = 0.0,
    staggered: bool = True,
    noise: float = 0.1,
) -> Iterator[TagCorners]:
    """Frames of all cameras in order of capture; one second has `RATE` of each.

    Args:
        target: the object.
        rig: the cameras as they really are.
        trajectory: of the object.
        rng: source of the corner noise.
        seconds: how long.
        start: time of the first frame [s].
        staggered: whether each camera has its own trigger.
        noise: of a corner coordinate [px].
    """
    for k in range(round(RATE * seconds)):
        for i, camera in enumerate(rig.values()):
            t = start + (k + (i / len(rig) if staggered else 0.0)) / RATE
            yield frame(target, camera, t, trajectory(t), rng, noise)


def turned(camera: Camera, angle: float, axis: Array) -> Camera:
    """The camera turned about its lens by `angle` [rad] about an axis of the world, (3,)."""
    turn = rotations.exp(angle * np.asarray(axis) / np.linalg.norm(axis))
    quaternion = rotations.multiply(turn, camera.quaternion)
    return replace(camera, quaternion=frozen_array(quaternion))
