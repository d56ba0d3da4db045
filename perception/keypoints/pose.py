"""Pose from the vertices that a network saw in several cameras: robust least squares."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from inhand.perception import rotations
from inhand.perception.cameras import Camera
from inhand.perception.objects import ObjectDescription
from inhand.perception.pose.refine_pose import Corners, refine
from inhand.perception.records import frozen_array
from inhand.perception.rotations import Array

SEEDS = 40
"""Iterations of RANSAC for the first guess of a camera."""

TAIL = 4.0
"""Largest mean cost of a vertex of a pose that is not refused. It is 1.7 if the deviations are
right: two coordinates, and what the robust cost leaves of them."""


@dataclass(frozen=True)
class Sight:
    """The vertices in one camera.

    Attributes:
        camera: which.
        pixels: (vertices, 2).
        deviations: of a coordinate [px], (vertices,).
    """

    camera: Camera
    pixels: Array
    deviations: Array


@dataclass(frozen=True)
class VertexPose:
    """A pose that fits the vertices.

    Attributes:
        position: world frame [m], (3,).
        quaternion: world from object, wxyz, (4,).
        covariance: of position and world rotation, (6, 6) [m, rad].
        cost: mean robust cost of a vertex, in its deviations.
    """

    position: Array
    quaternion: Array
    covariance: Array
    cost: float


def pose_of(
    description: ObjectDescription,
    sights: Sequence[Sight],
    guess: tuple[Array, Array] | None = None,
) -> VertexPose | None:
    """The object's pose, or None if no pose fits.

    Args:
        description: the object.
        sights: at most one for each camera, of one instant.
        guess: position and rotation matrix; without it, a camera alone gives the first guess.
    """
    if not sights:
        return None
    seeds = [] if guess is None else [guess]
    seeds += [seed for sight in sights if (seed := _seed(description, sight)) is not None]
    corners = _gather(description, sights)
    found = [one for seed in seeds if (one := refine(corners, seed)) is not None]
    if not found:
        return None
    best = min(found, key=lambda one: one.cost)
    cost = best.cost / len(corners.points)
    if not cost < TAIL:
        return None
    # Vertices that fit worse than their deviations say: the deviations are too small.
    return VertexPose(
        position=frozen_array(best.pose[0]),
        quaternion=frozen_array(rotations.from_matrix(best.pose[1])),
        covariance=frozen_array(best.covariance * max(1.0, cost / 2)),
        cost=cost,
    )


def _seed(description: ObjectDescription, sight: Sight) -> tuple[Array, Array] | None:
    camera = sight.camera
    found, turn, shift, _ = cv2.solvePnPRansac(
        description.vertices,
        camera.normalize(sight.pixels),
        np.eye(3),
        None,
        iterationsCount=SEEDS,
        reprojectionError=6.0 / camera.focal_length,
        flags=cv2.SOLVEPNP_SQPNP,
    )
    if not found or not np.isfinite(shift).all() or shift[2, 0] <= 0:
        return None
    rotation = camera.rotation @ cv2.Rodrigues(turn)[0]
    return camera.position + camera.rotation @ shift[:, 0], rotation


def _gather(description: ObjectDescription, sights: Sequence[Sight]) -> Corners:
    each, vertices = len(description.vertices), description.vertices
    cameras: Mapping[int, Camera] = {i: sight.camera for i, sight in enumerate(sights)}
    return Corners(
        points=np.tile(vertices, (len(sights), 1)),
        rays=np.concatenate([sight.camera.normalize(sight.pixels) for sight in sights]),
        camera=np.repeat(np.arange(len(sights)), each),
        camera_from_world=np.concatenate(
            [np.tile(camera.rotation.T, (each, 1, 1)) for camera in cameras.values()]
        ),
        lenses=np.concatenate([np.tile(c.position, (each, 1)) for c in cameras.values()]),
        focal_lengths=np.repeat([c.focal_length for c in cameras.values()], each),
        noise=np.concatenate([sight.deviations for sight in sights]),
        sigmas=np.array(
            [
                3 * [c.rotation_sigma] + 3 * [c.position_sigma] + [c.focal_sigma]
                for c in cameras.values()
            ]
        ),
    )
