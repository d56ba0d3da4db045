"""Volume, mass and inertia of links and of the shapes that they consist of."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from inhand.hardware.model.hand_description import Inertia, Link, Shape, Vector
from inhand.hardware.model.turning import rpy_matrix
from inhand.hardware.records import Array


class Solid(Protocol):
    """What has a mass: a link with a joint, or a fixed one."""

    @property
    def mass(self) -> float: ...
    @property
    def center(self) -> Vector | None: ...
    @property
    def inertia(self) -> Inertia | None: ...
    @property
    def shapes(self) -> tuple[Shape, ...]: ...


def shape_volume(shape: Shape) -> float:
    """Volume of a primitive [m³]."""
    match shape.kind:
        case "box":
            return float(8 * np.prod(shape.size))
        case "sphere":
            return float(4 / 3 * np.pi * shape.size[0] ** 3)
        case "cylinder":
            radius, half = shape.size
            return float(2 * np.pi * radius**2 * half)
    radius, half = shape.size
    return float(np.pi * radius**2 * (2 * half + 4 / 3 * radius))


def shape_inertia(shape: Shape, mass: float) -> Array:
    """Inertia of a homogeneous primitive about its centre [kg·m²], (3,), its own axes."""
    if shape.kind == "box":
        x, y, z = (2 * h for h in shape.size)
        return mass / 12 * np.array([y * y + z * z, x * x + z * z, x * x + y * y])
    if shape.kind == "sphere":
        return np.full(3, mass * shape.size[0] ** 2 * 2 / 5)
    radius, half = shape.size
    length = 2 * half
    round_part = np.pi * radius**2 * length
    cylinder = mass * round_part / shape_volume(shape)
    caps = mass - cylinder if shape.kind == "capsule" else 0.0
    axial = cylinder * radius**2 / 2 + caps * radius**2 * 2 / 5
    across = cylinder * (radius**2 / 4 + length**2 / 12) + caps * (
        radius**2 * 2 / 5 + length**2 / 4 + length * radius * 3 / 8
    )
    return np.array([across, across, axial])


def solid_inertial(solid: Solid, rotor: float = 0.0) -> tuple[Array, Array]:
    """Centre of mass and inertia of a link.

    Where the description has no centre or inertia of its own, the mass is spread over the shapes by
    volume.

    Args:
        solid: the link.
        rotor: inertia that is added about every axis [kg·m²].

    Returns:
        center: link frame [m], (3,).
        inertia: about the centre of mass, link axes [kg·m²], (3, 3).
    """
    center, inertia = np.zeros(3), rotor * np.eye(3)
    if solid.inertia is not None:
        return np.array(solid.center or center), inertia + inertia_matrix(solid.inertia)
    if solid.shapes:
        volumes = np.array([shape_volume(shape) for shape in solid.shapes])
        masses = solid.mass * volumes / volumes.sum()
        positions = np.array([shape.position for shape in solid.shapes])
        if solid.mass:
            center = masses @ positions / solid.mass
        for shape, mass, offset in zip(solid.shapes, masses, positions - center, strict=True):
            inertia = inertia + _turned(shape, np.diag(shape_inertia(shape, mass)))
            inertia = inertia + _steiner(mass, offset)
    if solid.center is not None:
        center = np.array(solid.center)
    return center, inertia


def link_inertial(link: Link) -> tuple[Array, Array]:
    """Centre of mass and inertia of a link with its rotor.

    The rotor's inertia is added about every axis, so that all engines see it without a term of
    their own.

    Returns:
        center: link frame [m], (3,).
        inertia: about the centre of mass, link axes [kg·m²], (3, 3).
    """
    return solid_inertial(link, link.rotor_inertia)


def joined(parts: Sequence[tuple[float, Array, Array]]) -> tuple[float, Array, Array]:
    """One rigid body of several: mass [kg], centre of mass [m], (3,), inertia [kg·m²], (3, 3).

    Args:
        parts: the same three of each part; all in one frame, each inertia about its own centre.
    """
    mass = sum(part[0] for part in parts)
    if not mass:
        return 0.0, np.zeros(3), np.zeros((3, 3))
    center: Array = sum((m * c for m, c, _ in parts), np.zeros(3)) / mass
    inertia = np.zeros((3, 3))
    for m, c, own in parts:
        inertia = inertia + own + _steiner(m, c - center)
    return mass, center, inertia


def inertia_matrix(values: Inertia) -> Array:
    """Inertia tensor [kg·m²], (3, 3), from xx, yy, zz, xy, xz, yz."""
    xx, yy, zz, xy, xz, yz = values
    return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])


def inertia_values(matrix: Array) -> Inertia:
    """xx, yy, zz, xy, xz, yz of an inertia tensor, (3, 3)."""
    (xx, xy, xz), (_, yy, yz), (_, _, zz) = matrix.tolist()
    return xx, yy, zz, xy, xz, yz


def _turned(shape: Shape, inertia: Array) -> Array:
    """An inertia from the axes of a shape to those of its link."""
    if not any(shape.rpy):
        return inertia
    turn = rpy_matrix(shape.rpy)
    turned: Array = turn @ inertia @ turn.T
    return turned


def _steiner(mass: float, offset: Array) -> Array:
    """What a shift of the centre adds to an inertia (parallel axis theorem)."""
    moved: Array = mass * (offset @ offset * np.eye(3) - np.outer(offset, offset))
    return moved
