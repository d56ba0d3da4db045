"""The hand as nodes of the page's scene."""

import numpy as np
from viser import FrameHandle, SceneApi

from inhand.controller.view.hand_shapes import Link, links_of
from inhand.hardware.model.hand import Hand
from inhand.hardware.records import Array

_STEP = 2e-3
"""Turn of a joint below which it is not drawn anew [rad]."""


class HandModel:
    """A frame for each link, turned by its joint, with the link's shapes in it."""

    def __init__(self, scene: SceneApi, hand: Hand) -> None:
        self._hand = hand
        self._drawn = np.full(hand.n_joints, np.inf)
        root, *moved = links_of(hand)
        _add(scene, root)
        self._frames = [(_add(scene, link), link) for link in moved]

    def show(self, actuator_angles: Array) -> None:
        """Turns the joints to where the encoders [rad], (n_actuators,), imply that they are."""
        angles = self._hand.joint_angles(np.asarray(actuator_angles, dtype=np.float64))
        for number in np.flatnonzero(np.abs(angles - self._drawn) > _STEP):
            frame, link = self._frames[number]
            frame.wxyz = link.turned(angles[number])
            self._drawn[number] = angles[number]


def _add(scene: SceneApi, link: Link) -> FrameHandle:
    frame = scene.add_frame(link.path, show_axes=False, position=link.position, wxyz=link.fixed)
    for number, shape in enumerate(link.shapes):
        scene.add_mesh_simple(
            f"{link.path}/shape{number}",
            shape.vertices,
            shape.faces,
            color=link.colour,
            position=shape.position,
            wxyz=shape.quaternion,
            cast_shadow=False,
            receive_shadow=False,
        )
    return frame
