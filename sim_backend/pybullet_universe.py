"""Applies a universe to hand and object, from which PyBullet and Drake worlds are built."""

from dataclasses import replace

import msgspec
import numpy as np

from inhand.hardware.model.hand import Hand
from inhand.hardware.model.hand_description import Inertia, Shape, Vector
from inhand.hardware.model.universe import Numbers, Universe
from inhand.hardware.records import Array
from inhand.perception import rotations
from inhand.perception.objects import ObjectDescription
from inhand.sim_backend.servo_dynamics import series_gain


def varied_hand(hand: Hand, universe: Universe) -> Hand:
    """The hand of a universe: masses, damping, friction, limits, gains, torque limits and sizes.

    Gains are those of servo and tendon in series. The rotor inertia does not depend on the link's
    mass and does not change.
    """
    mass = _values(universe.link_mass, hand.n_joints, 1.0)
    damping = _values(universe.joint_damping, hand.n_joints, 1.0)
    friction = _values(universe.joint_friction, hand.n_joints, 0.0)
    offset = _values(universe.limit_offset, 2 * hand.n_joints, 0.0).reshape(-1, 2)
    gain = series_gain(hand, universe)
    length = _values(universe.link_length, hand.n_joints, 0.0)
    radius = _values(universe.shape_radius, hand.n_joints, 1.0)
    torque = _values(universe.torque_limit, hand.n_actuators, 1.0)
    return replace(
        hand,
        links=tuple(
            msgspec.structs.replace(
                link,
                mass=float(link.mass * mass[i]),
                inertia=scaled_inertia(link.inertia, float(mass[i])),
                damping=float(link.damping * damping[i]),
                friction=float(link.friction + friction[i]),
                range=(float(link.range[0] + offset[i, 0]), float(link.range[1] + offset[i, 1])),
                origin=lengthened(link.origin, float(length[i])),
                shapes=tuple(_widened(shape, float(radius[i])) for shape in link.shapes),
            )
            for i, link in enumerate(hand.links)
        ),
        actuators=tuple(
            msgspec.structs.replace(
                actuator,
                gain=float(gain[i]),
                torque_limit=float(actuator.torque_limit * torque[i]),
            )
            for i, actuator in enumerate(hand.actuators)
        ),
    )


def mounting(hand: Hand, universe: Universe) -> tuple[Array, Array]:
    """Pose of the hand's base: world frame [m], (3,), and world from base, wxyz, (4,).

    The hand is tilted about the middle of the workspace, so that the object stays over the palm.
    """
    quaternion = rotations.exp(np.array([*universe.mounting_tilt, 0.0]))
    center = np.array(hand.workspace.center)
    if not any(universe.mounting_tilt):
        return np.zeros(3), rotations.IDENTITY
    return center - rotations.rotate(quaternion, center), quaternion


def lengthened(origin: Vector, by: float) -> Vector:
    """Position of a joint in its parent's frame [m], `by` [m] further from the parent's joint.

    A joint at the same place as its parent's joint does not move.
    """
    distance = float(np.linalg.norm(origin))
    if not by or not distance:
        return origin
    x, y, z = origin
    factor = 1.0 + by / distance
    return (x * factor, y * factor, z * factor)


def _widened(shape: Shape, factor: float) -> Shape:
    """A capsule or sphere with its radius multiplied by a factor; others do not change."""
    if shape.kind not in ("capsule", "sphere") or factor == 1.0:
        return shape
    return msgspec.structs.replace(shape, size=(shape.size[0] * factor, *shape.size[1:]))


def scaled_inertia(inertia: Inertia | None, factor: float) -> Inertia | None:
    """An inertia [kg·m²] for a mass that is multiplied by a factor."""
    if inertia is None:
        return None
    xx, yy, zz, xy, xz, yz = (factor * value for value in inertia)
    return xx, yy, zz, xy, xz, yz


def varied_object(target: ObjectDescription, universe: Universe) -> ObjectDescription:
    """The object of a universe: its extents, mass and friction; the tags do not move."""
    length, width, height = target.size
    factor = universe.object_size
    return replace(
        target,
        size=(factor * length, factor * width, factor * height),
        mass=target.mass * universe.object_mass,
        friction=target.friction * universe.friction,
    )


def solid_inertia(target: ObjectDescription) -> Array:
    """Principal inertia of the homogeneous object about its centre [kg·m²], (3,), object frame."""
    x, y, z = target.size
    if target.shape == "box":
        return target.mass / 12 * np.array([y * y + z * z, x * x + z * z, x * x + y * y])
    # Second moment per area of a regular polygon about any axis in its plane, from its apothem.
    apothem = x / 2
    half_side = apothem * np.tan(np.pi / target.sides)
    plane = apothem**2 / 4 + half_side**2 / 12
    return target.mass * np.array([plane + z * z / 12, plane + z * z / 12, 2 * plane])


def _values(given: Numbers, size: int, nominal: float) -> Array:
    """An empty tuple stands for nominal values."""
    return np.array(given) if given else np.full(size, nominal)
