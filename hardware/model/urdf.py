"""The hand as URDF, the one model that both physics engines load."""

from collections.abc import Iterable
from xml.etree import ElementTree

import numpy as np
from numpy.typing import ArrayLike

from inhand.hardware.model.hand import Hand
from inhand.hardware.model.hand_description import Link, Shape
from inhand.hardware.model.solids import link_inertial
from inhand.hardware.records import Array


def hand_urdf(hand: Hand) -> str:
    """Emits the hand as URDF text, which has no armature: the engines add it on their own."""
    robot = ElementTree.Element("robot", name=hand.name)
    # The base never moves; without an inertial, loaders print warnings.
    base = ElementTree.SubElement(robot, "link", name=hand.root)
    _add_inertial(base, 1.0, np.zeros(3), np.eye(3))
    _add_shapes(base, hand.root_shapes)
    for link in hand.links:
        _add_link(robot, link)
        _add_joint(robot, link)
    for leading, following in hand.couplings:
        joint = robot.find(f"joint[@name='{hand.joint_names[following]}']")
        assert joint is not None
        mimic = ElementTree.SubElement(joint, "mimic", joint=hand.joint_names[leading])
        ratio, offset = hand.joint_ratios[following], hand.joint_offsets[following]
        if ratio != 1.0 or offset != 0.0:
            mimic.set("multiplier", repr(float(ratio)))
            mimic.set("offset", repr(float(offset)))
    ElementTree.indent(robot)
    return ElementTree.tostring(robot, encoding="unicode")


def _numbers(values: ArrayLike) -> str:
    return " ".join(repr(float(v)) for v in np.ravel(values))


def _add_link(robot: ElementTree.Element, link: Link) -> None:
    element = ElementTree.SubElement(robot, "link", name=link.name)
    _add_inertial(element, link.mass, *link_inertial(link))
    _add_shapes(element, link.shapes)


def _add_shapes(element: ElementTree.Element, shapes: Iterable[Shape]) -> None:
    for shape in shapes:
        for role in ("visual", "collision"):
            body = ElementTree.SubElement(element, role)
            ElementTree.SubElement(
                body, "origin", xyz=_numbers(shape.position), rpy=_numbers(shape.rpy)
            )
            geometry = ElementTree.SubElement(body, "geometry")
            if shape.kind == "box":
                size = _numbers(2 * np.array(shape.size))
                ElementTree.SubElement(geometry, "box", size=size)
            elif shape.kind == "sphere":
                ElementTree.SubElement(geometry, "sphere", radius=repr(shape.size[0]))
            else:
                radius, half = shape.size
                ElementTree.SubElement(
                    geometry, shape.kind, radius=repr(radius), length=repr(2 * half)
                )


def _add_inertial(element: ElementTree.Element, mass: float, center: Array, inertia: Array) -> None:
    inertial = ElementTree.SubElement(element, "inertial")
    ElementTree.SubElement(inertial, "origin", xyz=_numbers(center), rpy="0 0 0")
    ElementTree.SubElement(inertial, "mass", value=repr(mass))
    names = {
        "ixx": (0, 0),
        "ixy": (0, 1),
        "ixz": (0, 2),
        "iyy": (1, 1),
        "iyz": (1, 2),
        "izz": (2, 2),
    }
    ElementTree.SubElement(
        inertial, "inertia", {name: repr(float(inertia[at])) for name, at in names.items()}
    )


def _add_joint(robot: ElementTree.Element, link: Link) -> None:
    joint = ElementTree.SubElement(robot, "joint", name=link.joint, type="revolute")
    ElementTree.SubElement(joint, "parent", link=link.parent)
    ElementTree.SubElement(joint, "child", link=link.name)
    ElementTree.SubElement(joint, "origin", xyz=_numbers(link.origin), rpy=_numbers(link.rpy))
    axis = np.array(link.axis) / np.linalg.norm(link.axis)
    ElementTree.SubElement(joint, "axis", xyz=_numbers(axis))
    low, high = link.range
    ElementTree.SubElement(
        joint, "limit", lower=repr(low), upper=repr(high), effort="100", velocity="100"
    )
