"""What a tick computes from the first frames, once before the hand depends on it.

Libraries load on their first calls: unrehearsed, the first frames cost several ticks.
"""

from collections.abc import Mapping

import numpy as np

from inhand.controller.estimation.fusion import PoseFilter
from inhand.hardware.model.hand import Hand
from inhand.hardware.records import JointState
from inhand.perception.cameras import Camera
from inhand.perception.objects import ObjectDescription
from inhand.perception.records import ObjectPose, TagCorners, frozen_array

TIMES = 0.0, 0.05, 0.1
"""Of the frames [s]: as far apart as real ones, so that contacts are looked for too."""


def rehearse(
    target: ObjectDescription, cameras: Mapping[str, Camera], hand: Hand
) -> ObjectPose | None:
    """Has a filter of its own follow an object that lies still in the middle of the hand.

    Returns:
        Where the filter has it at last; None if the cameras would see no tag of it there.
    """
    rehearsed = PoseFilter(target, cameras, hand=hand)
    still = frozen_array(np.zeros(hand.n_actuators))
    for t in np.arange(0.0, TIMES[-1] + 0.02, 0.01).tolist():
        rehearsed.note_joints(JointState(t, frozen_array(hand.rest), still, still))
    center = np.array(hand.workspace.center)
    for t in TIMES:
        for name, camera in cameras.items():
            rehearsed.update(_frame(target, camera, name, center, t))
    return rehearsed.predict(TIMES[-1] + 0.01)


def _frame(
    target: ObjectDescription, camera: Camera, name: str, center: np.ndarray, t: float
) -> TagCorners:
    """What a camera would see of the tags that face it, with nothing in between."""
    seen = {}
    for tag in target.tags:
        if tag.rotation[:, 2] @ (camera.position - center - tag.position) > 0:
            seen[tag.id] = camera.project(tag.corners + center)
    corners = np.array(list(seen.values())).reshape(-1, 4, 2)
    return TagCorners(t, name, tuple(seen), frozen_array(corners), 0.2)
