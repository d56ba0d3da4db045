"""Warm-up: runs the pose filter once before the hand is enabled.

Libraries initialise in their first calls; without a warm-up the first frames would take as long as
several ticks.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from inhand.controller.estimation.fusion import PoseFilter
from inhand.hardware.model.hand import Hand
from inhand.hardware.records import JointState
from inhand.perception.cameras import Camera
from inhand.perception.objects import ObjectDescription
from inhand.perception.records import ObjectPose, TagCorners, frozen_array

TIMES = 0.0, 0.05, 0.1
"""Of the frames [s]: as far apart as real ones, so that contacts are looked for too."""


def warm_up_pose_filter(
    target: ObjectDescription, cameras: Mapping[str, Camera], hand: Hand, eyes: str = "tags"
) -> ObjectPose | None:
    """Runs a separate filter on synthetic frames of an object at rest in the middle of the hand.

    Args:
        target: the object.
        cameras: the rig.
        hand: the hand.
        eyes: what finds the object in the frames: `tags`, `network` or `both`.

    Returns:
        The filter's last estimate; None if the cameras would see no tag.
    """
    pose_filter = PoseFilter(target, cameras, hand=hand)
    still = frozen_array(np.zeros(hand.n_actuators))
    for t in np.arange(0.0, TIMES[-1] + 0.02, 0.01).tolist():
        pose_filter.note_joints(JointState(t, frozen_array(hand.rest), still, still))
    center = np.array(hand.workspace.center)
    for t in TIMES:
        for name, camera in cameras.items():
            frame = _frame(target, camera, name, center, t)
            pose_filter.update(
                frame if eyes != "network" else _without_tags(frame, target, camera, center)
            )
    return pose_filter.predict(TIMES[-1] + 0.01)


def _frame(
    target: ObjectDescription, camera: Camera, name: str, center: np.ndarray, t: float
) -> TagCorners:
    """Frame with the tags that face the camera, without occlusion."""
    seen = {}
    for tag in target.tags:
        if tag.rotation[:, 2] @ (camera.position - center - tag.position) > 0:
            seen[tag.id] = camera.project(tag.corners + center)
    corners = np.array(list(seen.values())).reshape(-1, 4, 2)
    return TagCorners(t, name, tuple(seen), frozen_array(corners), 0.2)


def _without_tags(
    frame: TagCorners, target: ObjectDescription, camera: Camera, center: np.ndarray
) -> TagCorners:
    """The frame as a network sees it."""
    pixels = camera.project(target.vertices + center)
    vertices = frozen_array(np.column_stack([pixels, np.ones(len(pixels))]))
    return replace(frame, ids=(), corners=frozen_array(frame.corners[:0]), vertices=vertices)
