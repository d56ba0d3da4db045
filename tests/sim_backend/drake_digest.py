"""Digest of the nominal Drake world; see `pybullet_digest` for that of PyBullet."""

import hashlib
import json

import numpy as np
from numpy.typing import ArrayLike
from pydrake.geometry import Box, Capsule, Convex, Ellipsoid, Role
from pydrake.geometry import Shape as DrakeShape

from inhand.hardware.model.hand import Hand
from inhand.hardware.model.universe import DrakeSettings, Universe
from inhand.perception.objects import ObjectDescription
from inhand.sim_backend.drake import friction, surfaces
from inhand.sim_backend.drake.world import DrakeWorld
from tests.sim_backend.plain_values import plain

_PROPERTIES = (
    ("material", "hunt_crossley_dissipation"),
    ("material", "relaxation_time"),
    ("material", "point_contact_stiffness"),
    ("hydroelastic", "hydroelastic_modulus"),
    ("hydroelastic", "resolution_hint"),
)


def drake_digest(hand: Hand, target: ObjectDescription) -> str:
    """SHA-256 of all parameters of the nominal world that Drake reports."""
    world = DrakeWorld(hand, target, Universe(), seed=0)
    settings = DrakeSettings()
    facts: list[object] = [hand.digest, target.digest, friction.SHARE, surfaces.MESH]
    facts += [getattr(settings, name) for name in settings.__struct_fields__]
    plant, inspector = world.plant, world.inspector
    facts += _numbers(plant.gravity_field().gravity_vector())
    for name in (*hand.link_names, "object"):
        body = plant.GetBodyByName(name)
        facts += [name, *_numbers(body.default_spatial_inertia().CopyToFullMatrix6())]
        for geometry in plant.GetCollisionGeometriesForBody(body):
            facts += _numbers(inspector.GetPoseInFrame(geometry).GetAsMatrix34())
            facts += _shape(inspector.GetShape(geometry))
            held = inspector.GetProximityProperties(geometry)
            facts.append(held.GetProperty("material", "coulomb_friction").static_friction())
            facts += [held.GetProperty(*key) for key in _PROPERTIES if held.HasProperty(*key)]
    for name in hand.joint_names:
        joint = plant.GetJointByName(name)
        facts += [name, *_numbers(joint.default_damping_vector())]
        facts += _numbers(joint.position_lower_limits())
        facts += _numbers(joint.position_upper_limits())
    facts.append(inspector.NumGeometriesWithRole(Role.kProximity))
    return hashlib.sha256(json.dumps(plain(facts)).encode()).hexdigest()


def _numbers(values: ArrayLike) -> list[float]:
    """Numbers rounded to 1e-12; adding 0.0 turns -0.0 into 0.0."""
    numbers: list[float] = (np.round(np.ravel(values), 12) + 0.0).tolist()
    return numbers


def _shape(shape: DrakeShape) -> list[object]:
    name = type(shape).__name__
    match shape:
        case Box():
            return [name, *_numbers(shape.size())]
        case Capsule():
            return [name, shape.radius(), shape.length()]
        case Ellipsoid():
            return [name, shape.a(), shape.b(), shape.c()]
        case Convex():
            hull = shape.GetConvexHull()
            corners = [_numbers(hull.vertex(i)) for i in range(hull.num_vertices())]
            return [name, sorted(corners)]
    return [name]
