"""The hand's URDF as links with shapes, for the page and for Rerun."""

from dataclasses import dataclass
from xml.etree import ElementTree

import numpy as np
import trimesh
from numpy.typing import NDArray

from inhand.hardware.model.hand import Hand
from inhand.hardware.model.urdf import hand_urdf
from inhand.hardware.records import Array
from inhand.perception import rotations

SKIN, PALM = (196, 200, 208), (120, 126, 138)

_X, _Y, _Z = np.eye(3)


@dataclass(frozen=True)
class Shape:
    """A shape of a link, in the link's frame.

    Attributes:
        position: [m], (3,).
        quaternion: wxyz, (4,).
        vertices: in the shape's own frame [m], (n, 3).
        faces: triangles, (m, 3).
    """

    position: Array
    quaternion: Array
    vertices: NDArray[np.float32]
    faces: NDArray[np.uint32]


@dataclass(frozen=True)
class Link:
    """A link, and the joint that moves it in the frame of its parent.

    Attributes:
        name: of the link.
        path: the names of the links from the root to this one.
        position: of the joint [m], (3,).
        fixed: rotation at angle 0, wxyz, (4,).
        axis: of the joint, (3,); zero for the root.
        colour: red, green, blue, 0 to 255.
    """

    name: str
    path: str
    position: Array
    fixed: Array
    axis: Array
    colour: tuple[int, int, int]
    shapes: tuple[Shape, ...]

    def turned(self, angle: float) -> Array:
        """The rotation at an angle of the joint [rad], wxyz, (4,)."""
        return rotations.multiply(self.fixed, rotations.exp(angle * self.axis))


def links_of(hand: Hand) -> list[Link]:
    """The root, and then the link that each joint moves, in the joints' order."""
    robot = ElementTree.fromstring(hand_urdf(hand))
    named = {link.attrib["name"]: link for link in robot.iter("link")}
    joints = {joint.attrib["name"]: joint for joint in robot.iter("joint")}
    paths = {hand.root: "/hand"}
    still = np.zeros(3)
    root = Link(
        hand.root, "/hand", still, rotations.IDENTITY, still, PALM, _shapes(named[hand.root])
    )
    links = [root]
    for name in hand.joint_names:
        joint = joints[name]
        parent, child = (_child(joint, kind).attrib["link"] for kind in ("parent", "child"))
        paths[child] = f"{paths[parent]}/{child}"
        position, fixed = _origin(joint)
        axis = _vector(_child(joint, "axis"), "xyz")
        colour = PALM if parent == hand.root else SKIN
        path, shapes = paths[child], _shapes(named[child])
        links.append(Link(child, path, position, fixed, axis, colour, shapes))
    return links


def _shapes(link: ElementTree.Element) -> tuple[Shape, ...]:
    found = []
    for visual in link.findall("visual"):
        mesh = _mesh(_child(visual, "geometry")[0])
        vertices = np.asarray(mesh.vertices, dtype=np.float32)
        found.append(Shape(*_origin(visual), vertices, np.asarray(mesh.faces, dtype=np.uint32)))
    return tuple(found)


def _mesh(geometry: ElementTree.Element) -> trimesh.Trimesh:
    mesh: trimesh.Trimesh
    if geometry.tag == "box":
        mesh = trimesh.creation.box(_vector(geometry, "size"))
    elif geometry.tag == "sphere":
        mesh = trimesh.creation.icosphere(subdivisions=2, radius=float(geometry.attrib["radius"]))
    else:
        height, radius = (float(geometry.attrib[name]) for name in ("length", "radius"))
        if geometry.tag == "cylinder":
            mesh = trimesh.creation.cylinder(height=height, radius=radius, sections=16)
        else:
            mesh = trimesh.creation.capsule(height=height, radius=radius, count=(8, 8))
            mesh.apply_translation(-mesh.bounds.mean(axis=0))
    return mesh


def _child(element: ElementTree.Element, tag: str) -> ElementTree.Element:
    found = element.find(tag)
    assert found is not None, tag
    return found


def _vector(element: ElementTree.Element, name: str) -> Array:
    return np.array([float(x) for x in element.attrib[name].split()])


def _origin(element: ElementTree.Element) -> tuple[Array, Array]:
    """Position [m], (3,), and quaternion wxyz, (4,), of an element's `origin`."""
    origin = _child(element, "origin")
    return _vector(origin, "xyz"), quaternion_of(_vector(origin, "rpy"))


def quaternion_of(rpy: Array) -> Array:
    """Quaternion wxyz, (4,), of roll, pitch, yaw about fixed axes [rad], (3,)."""
    roll, pitch, yaw = rpy
    turn = rotations.multiply(rotations.exp(yaw * _Z), rotations.exp(pitch * _Y))
    return rotations.multiply(turn, rotations.exp(roll * _X))
