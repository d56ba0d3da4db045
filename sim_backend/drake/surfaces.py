"""Collision shapes of hand and object for Drake, and their contact properties."""

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from pydrake.geometry import (
    AddCompliantHydroelasticProperties,
    AddContactMaterial,
    AddRigidHydroelasticProperties,
    Box,
    Capsule,
    Convex,
    Cylinder,
    Ellipsoid,
    ProximityProperties,
    Sphere,
)
from pydrake.geometry import Shape as DrakeShape
from pydrake.multibody.plant import CoulombFriction

from inhand.hardware.model.hand_description import Shape, Vector
from inhand.hardware.model.turning import rpy_matrix
from inhand.hardware.model.universe import Universe, UniverseError
from inhand.hardware.records import Array
from inhand.perception.objects import ObjectDescription
from inhand.sim_backend.contact import DROP

RESOLUTION = 0.004
"""Edge length of the meshes of round shapes [m]."""
MESH = 0.9
"""Force of a fingertip's mesh over that of the exact sphere, around 1 N."""
HARD = 1e9
"""Point contact stiffness of the object [N/m]: so high that only that of the hand matters."""
DISSIPATION = 50.0
"""Hunt-Crossley dissipation of a contact without rebound [s/m]: Drake's default."""
RELAXATION = 0.02
"""Relaxation time of a contact in the solver `sap`, which has no other damping [s]."""


@dataclass(frozen=True)
class Rubber:
    """Contact parameters of the hand in one universe.

    Attributes:
        modulus: hydroelastic modulus [Pa].
        stiffness: of a point contact [N/m].
        dissipation: Hunt-Crossley dissipation [s/m].
    """

    modulus: float
    stiffness: float
    dissipation: float


def rubber(universe: Universe, radius: float) -> Rubber:
    """Contact parameters of the hand in a universe.

    The force between a flat face and a sphere with a pressure field that rises to the modulus E at
    its middle is π E (d² - 2 d³/3R) at depth d; that of its mesh is a tenth less.

    Args:
        universe: its modulus, `contact_softness` and `contact_rebound` are used.
        radius: radius R of a fingertip, for which the softness is defined [m].
    """

    def force(depth: float) -> float:
        return MESH * math.pi * (depth**2 - 2.0 * depth**3 / (3.0 * radius))

    low, high = 0.0, radius
    for _ in range(60):
        own = 0.5 * (low + high)
        low, high = (low, own) if universe.drake.modulus * force(own) > 1.0 else (own, high)
    depth = min(own + universe.contact_softness, radius)
    return Rubber(
        modulus=1.0 / force(depth),
        stiffness=1.0 / depth,
        dissipation=_dissipation(universe.contact_rebound),
    )


def _dissipation(rebound: float) -> float:
    """Hunt-Crossley dissipation for a rebound [s/m].

    Args:
        rebound: height after the bounce over the height before it.

    With dissipation c, the contact force has the factor 1 + c v at speed of approach v. A mass that
    arrives with speed v leaves with speed e v, where c v (1 + e) = ln((1 + c v) / (1 - c e v))
    (Hunt and Crossley 1975).
    """
    if rebound <= 0.0:
        return DISSIPATION
    speed, e = math.sqrt(2 * 9.81 * DROP), math.sqrt(rebound)
    low, high = 1e-6, (1.0 - 1e-9) / (e * speed)
    for _ in range(60):
        c = 0.5 * (low + high)
        before = c * speed
        more = math.log((1.0 + before) / (1.0 - e * before)) > before * (1.0 + e)
        low, high = (low, c) if more else (c, high)
    return min(low, DISSIPATION)


def hand_properties(skin: Rubber, friction: float) -> ProximityProperties:
    """Contact properties of the hand's shapes, which are compliant."""
    properties = ProximityProperties()
    AddCompliantHydroelasticProperties(RESOLUTION, skin.modulus, properties)
    _add_material(properties, skin, skin.stiffness, friction)
    return properties


def object_properties(skin: Rubber, friction: float) -> ProximityProperties:
    """Contact properties of the object, which is rigid; its dissipation is that of the hand."""
    properties = ProximityProperties()
    AddRigidHydroelasticProperties(RESOLUTION, properties)
    _add_material(properties, skin, HARD, friction)
    return properties


def _add_material(
    properties: ProximityProperties, skin: Rubber, stiffness: float, friction: float
) -> None:
    AddContactMaterial(
        properties=properties,
        dissipation=skin.dissipation,
        point_stiffness=stiffness,
        friction=CoulombFriction(friction, friction),
    )
    properties.AddProperty("material", "relaxation_time", RELAXATION)


def frictions(pair: float) -> tuple[float, float]:
    """Friction coefficients of hand and object that give the coefficient `pair` between them.

    Drake combines a and b to 2 a b / (a + b). The coefficient of the hand is 1, or `pair` if that
    is larger.
    """
    hand = max(1.0, pair)
    return hand, pair * hand / (2.0 * hand - pair)


def link_shape(
    shape: Shape, tip: Vector | None, fingertips: Literal["capsule", "ellipsoid", "sphere"]
) -> tuple[DrakeShape, Vector]:
    """The collision shape of a link, and its centre in the link's frame [m].

    Args:
        shape: of the hand's description.
        tip: the fingertip in the link's frame [m]; None for a link without one.
        fingertips: what a fingertip's capsule becomes: itself, an ellipsoid with its axes, or the
            sphere at its outer end.
    """
    if shape.kind == "box":
        x, y, z = (2.0 * half for half in shape.size)
        return Box(x, y, z), shape.position
    if shape.kind == "sphere":
        return Sphere(shape.size[0]), shape.position
    radius, half = shape.size
    if shape.kind == "cylinder":
        return Cylinder(radius, 2.0 * half), shape.position
    if tip is None or fingertips == "capsule":
        return Capsule(radius, 2.0 * half), shape.position
    if fingertips == "ellipsoid":
        return Ellipsoid(radius, radius, radius + half), shape.position
    along = half * rpy_matrix(shape.rpy)[:, 2]
    ends = [np.add(shape.position, sign * along) for sign in (-1.0, 1.0)]
    x, y, z = min(ends, key=lambda end: float(np.linalg.norm(end - tip)))
    return Sphere(radius), (float(x), float(y), float(z))


def object_shape(target: ObjectDescription, edge: float) -> DrakeShape:
    """The object as a convex hull, its edges and corners rounded.

    Args:
        target: the object.
        edge: radius of its edges [m]; 0 leaves them sharp.

    Raises:
        UniverseError: the edge radius is larger than half of the object, or the object is not
            convex.
    """
    if 2.0 * edge >= min(target.size):
        raise UniverseError(
            f"[drake] edge_radius {edge} m is more than half of the {target.name} "
            f"({min(target.size)} m); choose a smaller one"
        )
    hull = Convex(target.vertices.T, target.name).GetConvexHull()
    if hull.num_vertices() != len(target.vertices):
        raise UniverseError(
            f"object {target.name}: {len(target.vertices) - hull.num_vertices()} of its "
            f"{len(target.vertices)} corners are inside the convex hull, and Drake accepts only "
            "convex objects; use engine pybullet or mujoco, or give the convex hull"
        )
    if edge == 0.0:
        if target.shape == "box":
            return Box(*target.size)
        return Convex(target.vertices.T, target.name)
    length, width, height = (extent - 2.0 * edge for extent in target.size)
    inner = replace(target, size=(length, width, height)).vertices
    points = (inner[:, None] + edge * _directions(target)[None]).reshape(-1, 3)
    return Convex(points.T, target.name)


def _directions(target: ObjectDescription) -> Array:
    """Unit normals of faces and, halfway between them, of edges, for the rounding, (n, 3)."""
    sides = 4 if target.shape == "box" else target.sides
    around = np.arange(2 * sides) * np.pi / sides
    ring = np.stack([np.cos(around), np.sin(around), np.zeros_like(around)], axis=-1)
    up = np.array([0.0, 0.0, 1.0])
    slant = (ring[:, None] + [[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]]).reshape(-1, 3) / math.sqrt(2.0)
    return np.concatenate([ring, slant, [up, -up]])
