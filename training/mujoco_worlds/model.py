"""The hand and an object as a MuJoCo model, built from the same URDF that PyBullet loads."""

import hashlib
from collections.abc import Sequence

import mujoco
import numpy as np

from inhand.hardware.model.hand import Hand
from inhand.hardware.model.urdf import hand_urdf
from inhand.perception.objects import ObjectDescription

OBJECT = "object"


def build_spec(hand: Hand, target: ObjectDescription, sizes: Sequence[float] = ()) -> mujoco.MjSpec:
    """Builds the nominal model: world frame z up, the hand's base at the origin.

    Args:
        hand: the hand.
        target: the object.
        sizes: size factors for additional meshes, after the nominal mesh and in this order; only
            for an object with a mesh, since a compiled mesh cannot be resized.

    Contact: the object collides with every link; links of different collision groups collide with
    each other (the bit masks correspond to `hand.collision_pairs`). The object's friction has
    priority, so that it is the coefficient of the pair; in PyBullet the same follows from the
    product with 1.0.
    """
    spec = mujoco.MjSpec.from_string(hand_urdf(hand))
    spec.compiler.autolimits = True
    spec.compiler.balanceinertia = False
    option = spec.option
    option.timestep = 0.01
    option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    option.cone = mujoco.mjtCone.mjCONE_PYRAMIDAL
    option.iterations = 6
    option.ls_iterations = 6
    _set_contacts(spec, hand)
    _set_joints(spec, hand)
    _add_servos(spec, hand)
    _add_object(spec, hand, target, sizes)
    return spec


def refine_steps(model: mujoco.MjModel, finer: int) -> None:
    """Divides the time step and, as it is the smallest, the time constant of the contacts."""
    model.opt.timestep /= finer
    model.geom_solref[model.geom(OBJECT).id, 0] /= finer


def model_digest(model: mujoco.MjModel) -> str:
    """SHA-256 of all parameters of the nominal model on which the physics depends.

    Checkpoints contain it: weights learned with another model are not valid for this one.
    """
    hasher = hashlib.sha256()
    prefixes = ("body_", "jnt_", "dof_", "geom_", "eq_", "actuator_", "exclude_")
    for name in sorted(name for name in dir(model) if name.startswith(prefixes)):
        values = getattr(model, name)
        if isinstance(values, np.ndarray):
            # Six digits, as the last digits differ between processors.
            numbers = [f"{float(value):.6g}" for value in values.ravel()]
            hasher.update(f"{name}: {numbers}".encode())
    option = model.opt
    hasher.update(
        f"{option.timestep} {option.integrator} {option.cone} {option.iterations} "
        f"{option.ls_iterations} {option.gravity}".encode()
    )
    return hasher.hexdigest()


def _set_contacts(spec: mujoco.MjSpec, hand: Hand) -> None:
    bit_of_link = {
        link: 1 << (number + 1)
        for number, links in enumerate(hand.collision_groups.values())
        for link in links
    }
    all_bits = sum(set(bit_of_link.values()))
    # The compiler makes the root a part of the world, where its shapes would collide with the hand.
    for name in (hand.root, *hand.link_names):
        body = spec.body(name)
        bit = bit_of_link.get(name, 0)
        for geom in body.geoms:
            geom.contype = bit
            geom.conaffinity = 1 | (all_bits & ~bit if bit else 0)
            geom.condim = 3
            geom.friction[:] = (1.0, 0.0, 0.0)


def _set_joints(spec: mujoco.MjSpec, hand: Hand) -> None:
    for link in hand.links:
        joint = spec.joint(link.joint)
        # The other entries are the coefficients of the square and cube of the speed.
        joint.damping[0] = link.damping
        joint.frictionloss = link.friction
        joint.armature = link.armature
    for equality in spec.equalities:
        # Twice the step is the smallest time constant for which the solver is stable.
        equality.solref[:] = (0.02, 1.0)


def _add_servos(spec: mujoco.MjSpec, hand: Hand) -> None:
    for actuator in hand.actuators:
        servo = spec.add_actuator(
            name=actuator.name,
            target=actuator.joints[0],
            trntype=mujoco.mjtTrn.mjTRN_JOINT,
            gaintype=mujoco.mjtGain.mjGAIN_FIXED,
            biastype=mujoco.mjtBias.mjBIAS_AFFINE,
            forcelimited=mujoco.mjtLimited.mjLIMITED_TRUE,
            forcerange=(-actuator.torque_limit, actuator.torque_limit),
        )
        servo.gainprm[0] = actuator.gain
        servo.biasprm[1] = -actuator.gain


def _add_object(
    spec: mujoco.MjSpec, hand: Hand, target: ObjectDescription, sizes: Sequence[float]
) -> None:
    body = spec.worldbody.add_body(name=OBJECT, pos=hand.workspace.object_start)
    # MuJoCo's shortcut for simple bodies does not allow universes to move the centre of mass.
    body.simple = 0
    body.add_freejoint(name=OBJECT)
    geom = body.add_geom(
        name=OBJECT,
        mass=target.mass,
        contype=1,
        conaffinity=1,
        condim=3,
        priority=1,
        friction=(target.friction, 0.0, 0.0),
    )
    if target.shape == "box":
        geom.type = mujoco.mjtGeom.mjGEOM_BOX
        geom.size = target.half_extents
        return
    # By default the compiler of a URDF removes meshes that no geom uses.
    spec.compiler.discardvisual = False
    for number, factor in enumerate((1.0, *sizes)):
        name = f"{OBJECT}{number}" if number else OBJECT
        spec.add_mesh(name=name, uservert=np.ravel(factor * target.vertices).tolist())
    geom.type = mujoco.mjtGeom.mjGEOM_MESH
    geom.meshname = OBJECT
