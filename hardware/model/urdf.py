"""The hand as URDF, the one model that both physics engines load."""

from xml.etree import ElementTree

import numpy as np
from numpy.typing import ArrayLike

from inhand.hardware.model.hand import Hand
from inhand.hardware.model.hand_description import Link, Shape
from inhand.hardware.records import Array


def shape_volume(shape: Shape) -> float:
    """Volume of a primitive [m³]."""
    if shape.kind == "box":
        return float(8 * np.prod(shape.size))
    radius, half = shape.size
    return float(np.pi * radius**2 * (2 * half + 4 / 3 * radius))


def shape_inertia(shape: Shape, mass: float) -> Array:
    """Inertia of a homogeneous primitive about its centre [kg·m²], (3,), its own axes."""
    if shape.kind == "box":
        x, y, z = (2 * h for h in shape.size)
        return mass / 12 * np.array([y * y + z * z, x * x + z * z, x * x + y * y])
    radius, half = shape.size
    length = 2 * half
    cylinder = mass * np.pi * radius**2 * length / shape_volume(shape)
    caps = mass - cylinder
    axial = cylinder * radius**2 / 2 + caps * radius**2 * 2 / 5
    across = cylinder * (radius**2 / 4 + length**2 / 12) + caps * (
        radius**2 * 2 / 5 + length**2 / 4 + length * radius * 3 / 8
    )
    return np.array([across, across, axial])


def link_inertial(link: Link) -> tuple[Array, Array]:
    """Centre of mass and inertia of a link.

    The mass is spread over the shapes by volume; the rotor's inertia is added about every
    axis, so that both engines see it without an armature term of their own.

    Returns:
        center: link frame [m], (3,).
        inertia: about the centre of mass, link axes [kg·m²], (3, 3).
    """
    rotor = link.rotor_inertia * np.eye(3)
    if not link.shapes:
        return np.zeros(3), rotor
    volumes = np.array([shape_volume(shape) for shape in link.shapes])
    masses = link.mass * volumes / volumes.sum()
    positions = np.array([shape.position for shape in link.shapes])
    center = masses @ positions / link.mass
    inertia = rotor
    for shape, mass, offset in zip(link.shapes, masses, positions - center, strict=True):
        inertia = inertia + np.diag(shape_inertia(shape, mass))
        inertia = inertia + mass * (offset @ offset * np.eye(3) - np.outer(offset, offset))
    return center, inertia


def hand_urdf(hand: Hand) -> str:
    """Emits the hand as URDF text, capsules with their axis along the link's z."""
    robot = ElementTree.Element("robot", name=hand.name)
    # The base never moves; without an inertial, loaders complain.
    base = ElementTree.SubElement(robot, "link", name=hand.root)
    _add_inertial(base, 1.0, np.zeros(3), np.eye(3))
    for link in hand.links:
        _add_link(robot, link)
        _add_joint(robot, link)
    for leading, following in hand.couplings:
        joint = robot.find(f"joint[@name='{hand.joint_names[following]}']")
        assert joint is not None
        ElementTree.SubElement(joint, "mimic", joint=hand.joint_names[leading])
    ElementTree.indent(robot)
    return ElementTree.tostring(robot, encoding="unicode")


def _numbers(values: ArrayLike) -> str:
    return " ".join(repr(float(v)) for v in np.ravel(values))


def _add_link(robot: ElementTree.Element, link: Link) -> None:
    element = ElementTree.SubElement(robot, "link", name=link.name)
    _add_inertial(element, link.mass, *link_inertial(link))
    for shape in link.shapes:
        for role in ("visual", "collision"):
            body = ElementTree.SubElement(element, role)
            ElementTree.SubElement(body, "origin", xyz=_numbers(shape.position), rpy="0 0 0")
            geometry = ElementTree.SubElement(body, "geometry")
            if shape.kind == "box":
                size = _numbers(2 * np.array(shape.size))
                ElementTree.SubElement(geometry, "box", size=size)
            else:
                radius, half = shape.size
                ElementTree.SubElement(
                    geometry, "capsule", radius=repr(radius), length=repr(2 * half)
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
