"""The hand's URDF as nodes of the page's scene."""

from xml.etree import ElementTree

import numpy as np
import trimesh
from viser import FrameHandle, MeshHandle, SceneApi

from inhand.hardware.model.hand import Hand
from inhand.hardware.model.hand_description import Drawing
from inhand.hardware.model.stl import read_stl
from inhand.hardware.model.urdf import hand_urdf
from inhand.hardware.records import Array
from inhand.perception import rotations

SKIN, PALM, DRAWN = (196, 200, 208), (120, 126, 138), (176, 182, 196)
"""Colours of links that move, of those that do not, and of drawings."""
_STEP = 2e-3
"""Turn of a joint below which it is not drawn anew [rad]."""

_X, _Y, _Z = np.eye(3)


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
        self.shapes: dict[str, list[MeshHandle]] = {}
        self.drawings: dict[str, list[MeshHandle]] = {}
        robot = ElementTree.fromstring(hand_urdf(hand))
        paths = {hand.root: "/hand"}
        scene.add_frame("/hand", show_axes=False)
        root = robot.find(f"link[@name='{hand.root}']")
        assert root is not None
        self._dress(scene, root, "/hand", palm=True)
        self._frames: list[tuple[FrameHandle, Array, Array]] = []
        self._drawn = np.full(hand.n_joints, np.inf)
        for name in hand.joint_names:
            joint = robot.find(f"joint[@name='{name}']")
            assert joint is not None
            parent, child = (_child(joint, kind).attrib["link"] for kind in ("parent", "child"))
            paths[child] = f"{paths[parent]}/{child}"
            position, fixed = _origin(joint)
            frame = scene.add_frame(paths[child], show_axes=False, position=position, wxyz=fixed)
            self._frames.append((frame, fixed, _vector(_child(joint, "axis"), "xyz")))
            link = robot.find(f"link[@name='{child}']")
            assert link is not None
            self._dress(scene, link, paths[child], palm=parent == hand.root)
        self.paths = paths
        self.fixed = [fixed for _, fixed, _ in self._frames]
        if drawings:
            carriers = (
                (hand.root, hand.root_drawings),
                *((x.name, x.drawings) for x in hand.links),
            )
            for name, drawn in carriers:
                self.drawings[name] = [
                    self._draw(scene, f"{paths[name]}/drawing{number}", one)
                    for number, one in enumerate(drawn)
                ]

    def show(self, actuator_angles: Array) -> None:
        """Turns the joints to where the encoders [rad], (n_actuators,), imply that they are."""
        angles = self._hand.joint_angles(np.asarray(actuator_angles, dtype=np.float64))
        for number in np.flatnonzero(np.abs(angles - self._drawn) > _STEP):
            frame, fixed, axis = self._frames[number]
            frame.wxyz = rotations.multiply(fixed, rotations.exp(angles[number] * axis))
            self._drawn[number] = angles[number]

    def _dress(self, scene: SceneApi, link: ElementTree.Element, path: str, *, palm: bool) -> None:
        for number, visual in enumerate(link.findall("visual")):
            position, wxyz = _origin(visual)
            geometry = _child(visual, "geometry")[0]
            if geometry.tag == "box":
                mesh = trimesh.creation.box(_vector(geometry, "size"))
            elif geometry.tag == "sphere":
                radius = float(geometry.attrib["radius"])
                mesh = trimesh.creation.icosphere(subdivisions=2, radius=radius)
            elif geometry.tag == "cylinder":
                mesh = trimesh.creation.cylinder(
                    height=float(geometry.attrib["length"]),
                    radius=float(geometry.attrib["radius"]),
                    sections=16,
                )
            else:
                mesh = trimesh.creation.capsule(
                    height=float(geometry.attrib["length"]),
                    radius=float(geometry.attrib["radius"]),
                    count=(8, 8),
                )
                mesh.apply_translation(-mesh.bounds.mean(axis=0))
            handle = scene.add_mesh_simple(
                f"{path}/shape{number}",
                np.asarray(mesh.vertices, dtype=np.float32),
                np.asarray(mesh.faces, dtype=np.uint32),
                color=PALM if palm else SKIN,
                position=position,
                wxyz=wxyz,
                cast_shadow=False,
                receive_shadow=False,
            )
            self.shapes.setdefault(link.attrib["name"], []).append(handle)

    def _draw(self, scene: SceneApi, path: str, drawing: Drawing) -> MeshHandle:
        corners = read_stl(self._hand.folder / drawing.file)
        return scene.add_mesh_simple(
            path,
            corners.reshape(-1, 3).astype(np.float32),
            np.arange(3 * len(corners), dtype=np.uint32).reshape(-1, 3),
            color=DRAWN,
            flat_shading=True,
            position=drawing.position,
            wxyz=_quaternion(np.array(drawing.rpy)),
            cast_shadow=False,
            receive_shadow=False,
        )


def _child(element: ElementTree.Element, tag: str) -> ElementTree.Element:
    found = element.find(tag)
    assert found is not None, tag
    return found


def _vector(element: ElementTree.Element, name: str) -> Array:
    return np.array([float(x) for x in element.attrib[name].split()])


def _origin(element: ElementTree.Element) -> tuple[Array, Array]:
    """Position [m], (3,), and quaternion wxyz, (4,), of an element's `origin`."""
    origin = _child(element, "origin")
    return _vector(origin, "xyz"), _quaternion(_vector(origin, "rpy"))


def _quaternion(rpy: Array) -> Array:
    """Quaternion wxyz, (4,), of roll, pitch, yaw about fixed axes [rad], (3,)."""
    roll, pitch, yaw = rpy
    turn = rotations.multiply(rotations.exp(yaw * _Z), rotations.exp(pitch * _Y))
    return rotations.multiply(turn, rotations.exp(roll * _X))
