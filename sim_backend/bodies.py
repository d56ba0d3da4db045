"""The hand and an object as PyBullet bodies, without PyBullet's default damping and margins."""

import tempfile
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import msgspec
import numpy as np
import pybullet

from inhand.hardware.model.hand import Hand
from inhand.hardware.model.solids import inertia_values, solid_inertial
from inhand.hardware.model.urdf import hand_urdf
from inhand.hardware.records import Array
from inhand.perception.objects import ObjectDescription
from inhand.sim_backend.pybullet_universe import solid_inertia

GEAR_FORCE = 100.0
"""Torque limit of the constraint between coupled joints [N·m]: large enough never to be reached."""
GEAR_ERP = 0.8
"""Share of a coupling's error that one step removes; with 0.2, an error of 0.4 degrees stays."""


@dataclass(frozen=True)
class Surface:
    """Contact parameters of the object with the hand; the defaults are those of the nominal world.

    Attributes:
        torsion: coefficient of torsional friction about a contact's normal [m].
        softness: indentation of a contact under 1 N [m].
        damping: of a soft contact [N·s/m].
    """

    torsion: float = 0.0
    softness: float = 0.0
    damping: float = 0.0


def add_hand(client: int, hand: Hand, position: Array, quaternion: Array) -> int:
    """Loads the hand without PyBullet's default motors and damping.

    Joint and link numbers have the hand's order.

    Args:
        client: PyBullet's client.
        hand: the hand.
        position: of its base, world frame [m], (3,).
        quaternion: world from base, wxyz, (4,).

    Returns:
        PyBullet's id of the body.
    """
    with tempfile.TemporaryDirectory(prefix="inhand-world-") as directory:
        path = Path(directory) / f"{hand.name}.urdf"
        path.write_text(hand_urdf(_with_armature(hand)))
        w, x, y, z = quaternion.tolist()
        body: int = pybullet.loadURDF(
            str(path),
            position.tolist(),
            [x, y, z, w],
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
        # PyBullet's ratio is that of the first joint's turn to the second one's, with its sign
        # turned; the offset counts as turn of the second joint.
        ratio, offset = hand.joint_ratios[following], hand.joint_offsets[following]
        pybullet.changeConstraint(
            gear,
            gearRatio=-1.0 / ratio,
            relativePositionTarget=-offset / ratio,
            maxForce=GEAR_FORCE,
            erp=GEAR_ERP,
            physicsClientId=client,
        )
    return body


def _with_armature(hand: Hand) -> Hand:
    """The hand with armature in the links' inertia, as PyBullet has no armature.

    The joint itself gets the right inertia. The armature also acts on a joint above: all of it if
    the axes are parallel, else half of it, as PyBullet drops an inertia that no body can have.
    """
    links = []
    for link in hand.links:
        if link.armature:
            center, inertia = solid_inertial(link)
            axis = np.array(link.axis) / np.linalg.norm(link.axis)
            more = 0.5001 * np.eye(3) + 0.4999 * np.outer(axis, axis)
            values = inertia_values(inertia + link.armature * more)
            x, y, z = center.tolist()
            link = msgspec.structs.replace(link, center=(x, y, z), inertia=values)
        links.append(link)
    return replace(hand, links=tuple(links))


def _set_joints(client: int, body: int, hand: Hand) -> None:
    # A root without shapes touches nothing, and stays as PyBullet makes it.
    root = (-1,) if hand.root_shapes else ()
    for joint in (*root, *range(hand.n_joints)):
        pybullet.changeDynamics(
            body,
            joint,
            jointDamping=hand.links[joint].damping if joint >= 0 else 0.0,
            linearDamping=0.0,
            angularDamping=0.0,
            lateralFriction=1.0,
            spinningFriction=0.0,
            rollingFriction=0.0,
            restitution=0.0,
            physicsClientId=client,
        )
    set_friction(client, body, np.array([link.friction for link in hand.links]))


def set_friction(client: int, body: int, friction: Array) -> None:
    """Sets the Coulomb friction of the hand's joints [N·m], (n_joints,)."""
    # A motor with target speed 0 and limited torque is Coulomb friction.
    pybullet.setJointMotorControlArray(
        body,
        list(range(len(friction))),
        pybullet.VELOCITY_CONTROL,
        targetVelocities=[0.0] * len(friction),
        forces=friction.tolist(),
        physicsClientId=client,
    )


def _set_collisions(client: int, body: int, hand: Hand) -> None:
    listed = {frozenset(pair) for pair in hand.collision_pairs}
    names = (*hand.link_names, hand.root)
    links = (*range(hand.n_joints), -1)
    for (one, first), (two, second) in combinations(zip(links, names, strict=True), 2):
        collide = frozenset((first, second)) in listed
        pybullet.setCollisionFilterPair(body, body, one, two, int(collide), physicsClientId=client)


def add_object(
    client: int, target: ObjectDescription, center_of_mass: Array, surface: Surface
) -> int:
    """Adds the object; its pose in PyBullet is that of its centre of mass.

    Args:
        client: PyBullet's client.
        target: the object.
        center_of_mass: object frame [m], (3,).
        surface: contact parameters.

    Returns:
        PyBullet's id of the body.
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
        # By default PyBullet rounds the edges of a box by 1 mm, and enlarges a mesh by 1 mm.
        collisionMargin=0.0,
        linearDamping=0.0,
        angularDamping=0.0,
        activationState=pybullet.ACTIVATION_STATE_DISABLE_SLEEPING,
        physicsClientId=client,
    )
    if surface.torsion:
        # PyBullet multiplies it by the sliding friction of the hand, 1.0.
        pybullet.changeDynamics(body, -1, spinningFriction=surface.torsion, physicsClientId=client)
    if surface.softness:
        pybullet.changeDynamics(
            body,
            -1,
            contactStiffness=1.0 / surface.softness,
            contactDamping=surface.damping,
            physicsClientId=client,
        )
    return body
