"""Object poses from the vertices that a network saw in one camera."""

import cv2
import numpy as np

from inhand.perception.cameras import Camera
from inhand.perception.objects import ObjectDescription
from inhand.perception.pose.refine_pose import Pose, matrix
from inhand.perception.rotations import Array

ITERATIONS = 40
"""Of RANSAC (Fischler and Bolles, "Random sample consensus")."""

FAR_OFF = 6.0
"""Distance from which a vertex does not fit a pose [px]."""


def vertex_pose(camera: Camera, description: ObjectDescription, pixels: Array) -> Pose | None:
    """A pose of the object, world frame, that fits most of the vertices; None if there is none.

    Args:
        camera: what saw the object.
        description: the object.
        pixels: its vertices [px], (n, 2).
    """
    found, turn, shift, _ = cv2.solvePnPRansac(
        description.vertices,
        camera.normalize(pixels),
        np.eye(3),
        None,
        iterationsCount=ITERATIONS,
        reprojectionError=FAR_OFF / camera.focal_length,
        flags=cv2.SOLVEPNP_SQPNP,
    )
    if not found or not np.isfinite(shift).all() or shift[2, 0] <= 0:
        return None
    return camera.position + camera.rotation @ shift[:, 0], camera.rotation @ matrix(turn)
