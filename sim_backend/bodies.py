"""The hand and an object as PyBullet bodies, without PyBullet's default damping and margins."""

import tempfile
from itertools import combinations
from pathlib import Path

import numpy as np
import pybullet

from inhand.hardware.model.hand import Hand
from inhand.hardware.model.urdf import hand_urdf
from inhand.hardware.records import Array
from inhand.perception.objects import ObjectDescription

GEAR_FORCE = 100.0
"""Torque limit of the constraint between coupled joints [N·m]: large enough never to be reached."""
GEAR_ERP = 0.8
"""Share of a coupling's error that one step removes; 0.2 leaves 0.4 degrees."""


def add_hand(client: int, hand: Hand) -> int:
    """Loads the hand with free joints: no motors, no damping but the hand's own.

    Joint and link numbers are the hand's own order.

    Returns:
        PyBullet's number of the body.
    """
    with tempfile.TemporaryDirectory(prefix="inhand-world-") as directory:
        path = Path(directory) / f"{hand.name}.urdf"
        path.write_text(hand_urdf(hand))
        body: int = pybullet.loadURDF(
            str(path),
            useFixedBase=True,
            flags=pybullet.URDF_USE_INERTIA_FROM_FILE | pybullet.URDF_USE_SELF_COLLISION,
            physicsClientId=client,
        )
    infos = (pybullet.getJointInfo(body, j, physicsClientId=client) for j in range(hand.n_joints))
    names = tuple(info[1].decode() for info in infos)
    assert names == hand.joint_names, "PyBullet numbers joints as the hand file orders them"
    _set_joints(client, body, hand)
    _set_collisions(client, body, hand)
    for leading, following in hand.couplings:
        gear = pybullet.createConstraint(
            body,
            leading,
            body,
            following,
            pybullet.JOINT_GEAR,
            [1, 0, 0],
            [0, 0, 0],
            [0, 0, 0],
            physicsClientId=client,
        )
        pybullet.changeConstraint(
            gear, gearRatio=-1, maxForce=GEAR_FORCE, erp=GEAR_ERP, physicsClientId=client
        )
    return body


def _set_joints(client: int, body: int, hand: Hand) -> None:
    for joint, link in enumerate(hand.links):
        pybullet.changeDynamics(
            body,
            joint,
            jointDamping=link.damping,
            linearDamping=0.0,
            angularDamping=0.0,
            lateralFriction=1.0,
            spinningFriction=0.0,
            rollingFriction=0.0,
            restitution=0.0,
            physicsClientId=client,
        )
        # A motor with target speed 0 and limited torque is Coulomb friction.
        pybullet.setJointMotorControl2(
            body,
            joint,
            pybullet.VELOCITY_CONTROL,
            targetVelocity=0.0,
            force=link.friction,
            physicsClientId=client,
        )


def _set_collisions(client: int, body: int, hand: Hand) -> None:
    listed = {frozenset(pair) for pair in hand.collision_pairs}
    for one, two in combinations(range(hand.n_joints), 2):
        collide = frozenset((hand.link_names[one], hand.link_names[two])) in listed
        pybullet.setCollisionFilterPair(body, body, one, two, int(collide), physicsClientId=client)


def add_object(client: int, target: ObjectDescription, center_of_mass: Array) -> int:
    """Adds the object; its pose in PyBullet is that of its centre of mass.

    Args:
        client: PyBullet's client.
        target: the object.
        center_of_mass: object frame [m], (3,).

    Returns:
        PyBullet's number of the body.
    """
    if target.shape == "box":
        shape = pybullet.createCollisionShape(
            pybullet.GEOM_BOX, halfExtents=target.half_extents.tolist(), physicsClientId=client
        )
    else:
        shape = pybullet.createCollisionShape(
            pybullet.GEOM_MESH, vertices=target.vertices.tolist(), physicsClientId=client
        )
    body: int = pybullet.createMultiBody(
        baseMass=target.mass,
        baseCollisionShapeIndex=shape,
        baseInertialFramePosition=center_of_mass.tolist(),
        physicsClientId=client,
    )
    pybullet.changeDynamics(
        body,
        -1,
        localInertiaDiagonal=solid_inertia(target).tolist(),
        lateralFriction=target.friction,
        spinningFriction=0.0,
        rollingFriction=0.0,
        restitution=0.0,
        # By default PyBullet rounds a box's edges by 1 mm, and blows a mesh up by as much.
        collisionMargin=0.0,
        linearDamping=0.0,
        angularDamping=0.0,
        activationState=pybullet.ACTIVATION_STATE_DISABLE_SLEEPING,
        physicsClientId=client,
    )
    return body


def solid_inertia(target: ObjectDescription) -> Array:
    """Inertia of the homogeneous object about its centre [kg·m²], (3,), its own axes."""
    x, y, z = target.size
    if target.shape == "box":
        return target.mass / 12 * np.array([y * y + z * z, x * x + z * z, x * x + y * y])
    # A regular polygon's second moment about any axis in its plane, per area, from its apothem.
    apothem = x / 2
    half_side = apothem * np.tan(np.pi / target.sides)
    plane = apothem**2 / 4 + half_side**2 / 12
    return target.mass * np.array([plane + z * z / 12, plane + z * z / 12, 2 * plane])
