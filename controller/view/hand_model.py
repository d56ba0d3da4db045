"""The hand as nodes of the page's scene."""

import numpy as np
from viser import FrameHandle, MeshHandle, SceneApi

from inhand.controller.view.hand_shapes import Link, links_of, quaternion_of
from inhand.hardware.model.hand import Hand
from inhand.hardware.model.hand_description import Drawing
from inhand.hardware.model.stl import read_stl
from inhand.hardware.records import Array

DRAWN = (176, 182, 196)
"""Colour of drawings."""
_STEP = 2e-3
"""Turn of a joint below which it is not drawn anew [rad]."""


class HandModel:
    """A frame for each link, turned by its joint, with the link's shapes and drawings in it.

    Attributes:
        paths: name of each link's frame in the scene; the root has one, too.
        fixed: orientation of each joint at angle zero in its parent's frame, wxyz.
        shapes: handles of the primitives that collide, by link.
        drawings: handles of what is drawn in their place, by link; only if asked for.
    """

    def __init__(self, scene: SceneApi, hand: Hand, *, drawings: bool = False) -> None:
        self._hand = hand
        self._drawn = np.full(hand.n_joints, np.inf)
        self.shapes: dict[str, list[MeshHandle]] = {}
        self.drawings: dict[str, list[MeshHandle]] = {}
        root, *moved = links_of(hand)
        self._add(scene, root)
        self._frames = [(self._add(scene, link), link) for link in moved]
        self.paths = {link.name: link.path for link in (root, *moved)}
        self.fixed = [link.fixed for link in moved]
        if drawings:
            carriers = (
                (hand.root, hand.root_drawings),
                *((x.name, x.drawings) for x in hand.links),
            )
            for name, drawn in carriers:
                self.drawings[name] = [
                    self._draw(scene, f"{self.paths[name]}/drawing{number}", one)
                    for number, one in enumerate(drawn)
                ]

    def show(self, actuator_angles: Array) -> None:
        """Turns the joints to where the encoders [rad], (n_actuators,), imply that they are."""
        angles = self._hand.joint_angles(np.asarray(actuator_angles, dtype=np.float64))
        for number in np.flatnonzero(np.abs(angles - self._drawn) > _STEP):
            frame, link = self._frames[number]
            frame.wxyz = link.turned(angles[number])
            self._drawn[number] = angles[number]

    def _add(self, scene: SceneApi, link: Link) -> FrameHandle:
        frame = scene.add_frame(link.path, show_axes=False, position=link.position, wxyz=link.fixed)
        for number, shape in enumerate(link.shapes):
            handle = scene.add_mesh_simple(
                f"{link.path}/shape{number}",
                shape.vertices,
                shape.faces,
                color=link.colour,
                position=shape.position,
                wxyz=shape.quaternion,
                cast_shadow=False,
                receive_shadow=False,
            )
            self.shapes.setdefault(link.name, []).append(handle)
        return frame

    def _draw(self, scene: SceneApi, path: str, drawing: Drawing) -> MeshHandle:
        corners = read_stl(self._hand.folder / drawing.file)
        return scene.add_mesh_simple(
            path,
            corners.reshape(-1, 3).astype(np.float32),
            np.arange(3 * len(corners), dtype=np.uint32).reshape(-1, 3),
            color=DRAWN,
            flat_shading=True,
            position=drawing.position,
            wxyz=quaternion_of(np.array(drawing.rpy)),
            cast_shadow=False,
            receive_shadow=False,
        )
