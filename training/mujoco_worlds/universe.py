"""A universe as fields of a MuJoCo model."""

from typing import Any

import mujoco
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from inhand.hardware.model.hand import Hand
from inhand.hardware.model.universe import MujocoSettings, Universe
from inhand.hardware.records import Array
from inhand.perception import rotations
from inhand.sim_backend.pybullet_universe import lengthened, mounting
from inhand.sim_backend.servo_dynamics import series_gain
from inhand.training.mujoco_worlds.contact import change_contact
from inhand.training.mujoco_worlds.model import OBJECT

Fields = dict[str, NDArray[Any]]

FIELDS = (
    "body_mass",
    "body_inertia",
    "body_ipos",
    "geom_friction",
    "geom_size",
    "geom_rbound",
    "geom_aabb",
    "geom_pos",
    "geom_quat",
    "jnt_range",
    "dof_damping",
    "dof_frictionloss",
    "actuator_gainprm",
    "actuator_biasprm",
    "actuator_forcerange",
    "opt.gravity",
    "opt.timestep",
    "opt.iterations",
    "opt.cone",
    "geom_solref",
    "geom_solimp",
    "geom_condim",
    "body_pos",
    "body_quat",
)
"""Every field that a universe may change."""


def model_fields(nominal: mujoco.MjModel, hand: Hand, universe: Universe) -> Fields:
    """The fields of the nominal model, changed for a universe.

    A box is resized here. For an object with a mesh, the caller must choose a mesh of the right
    size. After writing the fields, the caller must run `mj_setConst`: without it the contact solver
    becomes unstable.

    Args:
        nominal: the compiled model of `build_spec`.
        hand: the hand in it.
        universe: deviations from nominal.

    Returns:
        A copy of each of `FIELDS`.
    """
    fields: Fields = {
        name: np.array(
            getattr(nominal.opt, name[4:]) if name[:4] == "opt." else getattr(nominal, name)
        )
        for name in FIELDS
    }
    _change_links(fields, hand, universe)
    _change_servos(fields, hand, universe)
    _change_object(fields, nominal, universe)
    _change_sizes(fields, nominal, hand, universe)
    fields["opt.gravity"][:] = universe.gravity
    _change_solver(fields, nominal, universe.mujoco)
    change_contact(fields, nominal, hand, universe)
    return fields


def in_finer_steps(universe: Universe, finer: int) -> Universe:
    """The universe with MuJoCo's time step and the time constant of contacts divided."""
    solver = universe.mujoco
    timestep, contact_time = solver.timestep / finer, solver.contact_time / finer
    return replace(universe, mujoco=replace(solver, timestep=timestep, contact_time=contact_time))


def _factors(values: tuple[float, ...], size: int) -> Array:
    return np.array(values) if values else np.ones(size)


def _change_links(fields: Fields, hand: Hand, universe: Universe) -> None:
    """Masses, damping, friction and limits; the rotor inertia does not depend on a link's mass."""
    mass = _factors(universe.link_mass, hand.n_joints)
    # Links are the first bodies after the world, in the hand's order.
    links = slice(1, 1 + hand.n_joints)
    fields["body_mass"][links] *= mass
    rotor = np.array([link.rotor_inertia for link in hand.links])[:, None]
    solid = fields["body_inertia"][links] - rotor
    fields["body_inertia"][links] = rotor + mass[:, None] * solid
    joints = slice(0, hand.n_joints)
    fields["dof_damping"][joints] *= _factors(universe.joint_damping, hand.n_joints)
    if universe.joint_friction:
        fields["dof_frictionloss"][joints] += universe.joint_friction
    if universe.limit_offset:
        fields["jnt_range"][joints] += np.reshape(universe.limit_offset, (hand.n_joints, 2))


def _change_servos(fields: Fields, hand: Hand, universe: Universe) -> None:
    gain = series_gain(hand, universe)
    fields["actuator_gainprm"][:, 0] = gain
    fields["actuator_biasprm"][:, 1] = -gain
    limits = _factors(universe.torque_limit, hand.n_actuators)
    fields["actuator_forcerange"] *= limits[:, None]


def _change_sizes(fields: Fields, nominal: mujoco.MjModel, hand: Hand, universe: Universe) -> None:
    """Positions of joints, radii of capsules, and mounting of the hand."""
    links = slice(1, 1 + hand.n_joints)
    if universe.link_length:
        origins = [
            lengthened(link.origin, by)
            for link, by in zip(hand.links, universe.link_length, strict=True)
        ]
        fields["body_pos"][links] = origins
    if universe.shape_radius:
        round_kinds = (mujoco.mjtGeom.mjGEOM_CAPSULE, mujoco.mjtGeom.mjGEOM_SPHERE)
        of_links = (nominal.geom_bodyid > 0) & (nominal.geom_bodyid <= hand.n_joints)
        geoms = np.flatnonzero(np.isin(nominal.geom_type, round_kinds) & of_links)
        radius = nominal.geom_size[geoms, 0]
        thicker = radius * (np.array(universe.shape_radius)[nominal.geom_bodyid[geoms] - 1] - 1.0)
        fields["geom_size"][geoms, 0] += thicker
        fields["geom_rbound"][geoms] += thicker
        fields["geom_aabb"][geoms, 3:] += thicker[:, None]
    if any(universe.mounting_tilt):
        position, quaternion = mounting(hand, universe)
        for body in range(1, 1 + hand.n_joints):
            if nominal.body_parentid[body] == 0:
                place = rotations.rotate(quaternion, fields["body_pos"][body])
                fields["body_pos"][body] = position + place
                turned = rotations.multiply(quaternion, nominal.body_quat[body])
                fields["body_quat"][body] = turned
        for geom in np.flatnonzero(nominal.geom_bodyid == 0):
            place = rotations.rotate(quaternion, fields["geom_pos"][geom])
            fields["geom_pos"][geom] = position + place
            fields["geom_quat"][geom] = rotations.multiply(quaternion, nominal.geom_quat[geom])


def _change_solver(fields: Fields, nominal: mujoco.MjModel, settings: MujocoSettings) -> None:
    fields["opt.timestep"][...] = settings.timestep
    fields["opt.iterations"][...] = settings.iterations
    if settings.elliptic_cone:
        fields["opt.cone"][...] = mujoco.mjtCone.mjCONE_ELLIPTIC
    # The object has contact priority, so that all its contacts use its time constant.
    fields["geom_solref"][nominal.geom(OBJECT).id, 0] = settings.contact_time


def _change_object(fields: Fields, nominal: mujoco.MjModel, universe: Universe) -> None:
    """Scales the inertia by mass and size as for a homogeneous body of the same shape."""
    body, geom = nominal.body(OBJECT).id, nominal.geom(OBJECT).id
    fields["body_mass"][body] *= universe.object_mass
    fields["body_inertia"][body] *= universe.object_mass * universe.object_size**2
    fields["body_ipos"][body] += universe.center_of_mass
    fields["geom_friction"][geom, 0] *= universe.friction
    if universe.torsional_friction:
        fields["geom_friction"][geom, 1] = universe.torsional_friction
        fields["geom_condim"][geom] = 4
    for name in ("geom_size", "geom_rbound", "geom_aabb"):
        fields[name][geom] *= universe.object_size
