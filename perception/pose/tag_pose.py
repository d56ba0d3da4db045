"""Object poses from one tag in one camera."""

import cv2
import numpy as np

from inhand.perception.cameras import Camera
from inhand.perception.objects import Tag
from inhand.perception.pose.refine_pose import Pose, matrix
from inhand.perception.rotations import Array


def tag_poses(camera: Camera, tag: Tag, pixels: Array) -> list[Pose]:
    """Poses of the object, world frame, from one tag: up to two, the better first.

    The pose of a square has a two-fold ambiguity (Collins and Bartoli, "Infinitesimal plane-based
    pose estimation").

    Args:
        camera: what saw the tag.
        tag: where it sits on the object.
        pixels: its corners [px], (4, 2).
    """
    count, turns, shifts, _ = cv2.solvePnPGeneric(
        tag.square,
        camera.normalize(pixels),
        np.eye(3),
        np.zeros(5),
        flags=cv2.SOLVEPNP_IPPE_SQUARE,
    )
    world_from_camera, tag_from_object = camera.rotation, tag.rotation.T
    poses = []
    for turn, shift in zip(turns[:count], shifts[:count], strict=True):
        rotation = world_from_camera @ matrix(turn) @ tag_from_object
        center = camera.position + world_from_camera @ np.asarray(shift, dtype=np.float64).ravel()
        position = center - rotation @ tag.position
        if np.isfinite(position).all() and np.isfinite(rotation).all():
            poses.append((position, rotation))
    return poses
