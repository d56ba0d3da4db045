"""The hand's URDF as nodes of the page's scene."""

from xml.etree import ElementTree

import numpy as np
import trimesh
from viser import FrameHandle, SceneApi

from inhand.hardware.model.hand import Hand
from inhand.hardware.model.urdf import hand_urdf
from inhand.hardware.records import Array
from inhand.perception import rotations

_SKIN, _PALM = (196, 200, 208), (120, 126, 138)
_STEP = 2e-3
"""Turn of a joint below which it is not drawn anew [rad]."""

_X, _Y, _Z = np.eye(3)


class HandModel:
    """A frame for each link, turned by its joint, with the link's shapes in it."""

    def __init__(self, scene: SceneApi, hand: Hand) -> None:
        self._hand = hand
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
            scene.add_mesh_simple(
                f"{path}/shape{number}",
                np.asarray(mesh.vertices, dtype=np.float32),
                np.asarray(mesh.faces, dtype=np.uint32),
                color=_PALM if palm else _SKIN,
                position=position,
                wxyz=wxyz,
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
    roll, pitch, yaw = _vector(origin, "rpy")
    turn = rotations.multiply(rotations.exp(yaw * _Z), rotations.exp(pitch * _Y))
    return _vector(origin, "xyz"), rotations.multiply(turn, rotations.exp(roll * _X))
