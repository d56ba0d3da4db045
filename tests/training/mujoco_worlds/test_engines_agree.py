"""PyBullet and MuJoCo have the same hand and object, nominal or in a universe."""

from collections.abc import Iterator

import mujoco
import numpy as np
import pybullet
import pytest

from inhand.hardware.model.hand import load_hand
from inhand.hardware.model.kinematics import link_poses
from inhand.hardware.model.universe import Universe, sample
from inhand.hardware.records import Array
from inhand.perception import rotations
from inhand.perception.objects import load_object
from inhand.sim_backend.pybullet_universe import mounting, varied_hand
from inhand.sim_backend.world import World
from inhand.training.mujoco_worlds.world import MujocoWorld

HAND = load_hand("dactyl24")
UNIVERSES = {
    "nominal": Universe(),
    "drawn": sample(HAND, np.random.default_rng(3), 1.0),
}
Pair = tuple[World, MujocoWorld]


@pytest.fixture(params=["block", "prism"])
def shape(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=UNIVERSES)
def pair(request: pytest.FixtureRequest, shape: str) -> Iterator[Pair]:
    target, universe = load_object(shape), UNIVERSES[request.param]
    world = World(HAND, target, universe, seed=1)
    yield world, MujocoWorld(HAND, target, universe, seed=1)
    world.close()


def bullet_inertia(world: World, body: int, link: int) -> tuple[float, Array, Array]:
    """Mass, centre of mass (3,) and inertia in the link's own frame (3, 3)."""
    info = pybullet.getDynamicsInfo(body, link, physicsClientId=world.client)
    x, y, z, w = info[4]
    turn = rotations.to_matrix(np.array([w, x, y, z]))
    return info[0], np.array(info[3]), turn @ np.diag(info[2]) @ turn.T


def mujoco_inertia(model: mujoco.MjModel, name: str) -> tuple[float, Array, Array]:
    """The same from MuJoCo."""
    body = model.body(name)
    turn = rotations.to_matrix(body.iquat)
    return float(body.mass[0]), body.ipos, turn @ np.diag(body.inertia) @ turn.T


def test_masses_centres_and_inertias_are_equal(pair: Pair) -> None:
    world, other = pair
    bodies = {name: (world.hand_body, i) for i, name in enumerate(HAND.link_names)}
    bodies["object"] = (world.object_body, -1)
    for name, (body, link) in bodies.items():
        mass, center, inertia = bullet_inertia(world, body, link)
        other_mass, other_center, other_inertia = mujoco_inertia(other.model, name)
        assert mass == pytest.approx(other_mass, rel=1e-6), name
        np.testing.assert_allclose(center, other_center, atol=1e-6, err_msg=name)
        np.testing.assert_allclose(inertia, other_inertia, rtol=1e-3, atol=1e-8, err_msg=name)


def test_limits_and_pair_friction_are_equal(pair: Pair) -> None:
    world, other = pair
    for joint, name in enumerate(HAND.joint_names):
        info = pybullet.getJointInfo(world.hand_body, joint, physicsClientId=world.client)
        np.testing.assert_allclose(info[8:10], other.model.joint(name).range, atol=1e-6)
    frictions = [
        pybullet.getDynamicsInfo(body, link, physicsClientId=world.client)[1]
        for body, link in ((world.hand_body, 4), (world.object_body, -1))
    ]
    # PyBullet multiplies; in MuJoCo the object's coefficient has priority.
    assert frictions[0] * frictions[1] == pytest.approx(other.model.geom("object").friction[0])
    assert other.model.geom("object").priority[0] == 1
    torsion = world.universe.torsional_friction
    spinning = pybullet.getDynamicsInfo(world.object_body, -1, physicsClientId=world.client)[7]
    assert spinning == pytest.approx(torsion)
    assert other.model.geom("object").friction[1] == pytest.approx(torsion)
    assert other.model.geom("object").condim[0] == (4 if torsion else 3)


def test_joints_damp_in_proportion_to_their_speed() -> None:
    """Linear damping only, as in PyBullet."""
    model = MujocoWorld(HAND, load_object("block"), Universe(), seed=1).model
    assert not model.dof_dampingpoly.any()


def test_forward_kinematics_agree_to_a_tenth_of_a_millimetre(pair: Pair) -> None:
    """Over 50 random poses: PyBullet, MuJoCo and our own."""
    world, other = pair
    rng = np.random.default_rng(7)
    varied, (base, turn) = varied_hand(HAND, world.universe), mounting(HAND, world.universe)
    for actuators in rng.uniform(HAND.lower, HAND.upper, (50, HAND.n_actuators)):
        angles = HAND.joint_angles(actuators)
        pose(pair, angles, np.array([0.0, 0.335, 1.0]), rotations.IDENTITY)
        matrices, positions = link_poses(varied, angles)
        matrices = rotations.to_matrix(turn) @ matrices
        positions = base + rotations.rotate(turn, positions)
        states = pybullet.getLinkStates(
            world.hand_body,
            list(range(HAND.n_joints)),
            computeForwardKinematics=1,
            physicsClientId=world.client,
        )
        for i, name in enumerate(HAND.link_names):
            x, y, z, w = states[i][5]
            np.testing.assert_allclose(states[i][4], positions[i], atol=1e-4)
            np.testing.assert_allclose(
                rotations.to_matrix(np.array([w, x, y, z])), matrices[i], atol=1e-4
            )
            body = other.data.body(name)
            np.testing.assert_allclose(body.xpos, positions[i], atol=1e-4)
            np.testing.assert_allclose(body.xmat.reshape(3, 3), matrices[i], atol=1e-4)


def test_the_gap_between_object_and_links_is_equal(pair: Pair) -> None:
    """Over random poses: fingers to 0.01 mm; boxes to 1 mm, as PyBullet rounds their edges."""
    world, other = pair
    rng = np.random.default_rng(8)
    compared = {"capsule": 0, "box": 0}
    for actuators in rng.uniform(HAND.lower, HAND.upper, (30, HAND.n_actuators)):
        position = np.array([0.0, 0.335, 0.055]) + rng.uniform(-0.03, 0.03, 3)
        pose(pair, HAND.joint_angles(actuators), position, rotations.random_quaternion(rng))
        for i, link in enumerate(HAND.links):
            near = pybullet.getClosestPoints(
                world.hand_body, world.object_body, 0.03, i, -1, physicsClientId=world.client
            )
            if not near:
                continue
            gap, other_gap = min(point[8] for point in near), mujoco_gap(other, link.name)
            # Engines measure how deep shapes overlap in ways of their own; apart, there is one.
            if other_gap > 0.0015:
                kind = link.shapes[0].kind
                assert gap == pytest.approx(other_gap, abs=1e-5 if kind == "capsule" else 1e-3)
                compared[kind] += 1
    assert min(compared.values()) > 20


def test_links_collide_by_the_same_list() -> None:
    """Fingers folded into each other: which pairs report contact."""
    target = load_object("block")
    world = World(HAND, target, Universe(), seed=1)
    other = MujocoWorld(HAND, target, Universe(), seed=1)
    rng = np.random.default_rng(9)
    touching: set[frozenset[str]] = set()
    listed = {frozenset(pair) for pair in HAND.collision_pairs}
    for actuators in rng.uniform(HAND.lower, HAND.upper, (60, HAND.n_actuators)):
        angles = HAND.joint_angles(actuators)
        pose((world, other), angles, np.array([0.0, 0.335, 1.0]), rotations.IDENTITY)
        pybullet.performCollisionDetection(physicsClientId=world.client)
        mujoco.mj_collision(other.model, other.data)
        points = pybullet.getContactPoints(physicsClientId=world.client)
        bullet = {
            frozenset((HAND.link_names[point[3]], HAND.link_names[point[4]]))
            for point in points
            if point[8] < -1e-4
        }
        bodies = other.model.geom_bodyid
        contacts = {
            frozenset(other.model.body(bodies[geom]).name for geom in contact.geom)
            for contact in other.data.contact
            if contact.dist < -1e-4
        }
        assert bullet == contacts
        touching |= bullet
    assert touching <= listed
    assert len(touching) > 5
    world.close()


def pose(pair: Pair, angles: Array, position: Array, quaternion: Array) -> None:
    """Puts both worlds into one pose, without a step."""
    world, other = pair
    for joint, angle in enumerate(angles):
        pybullet.resetJointState(
            world.hand_body, joint, float(angle), 0.0, physicsClientId=world.client
        )
    w, x, y, z = quaternion.tolist()
    center = position + rotations.rotate(quaternion, np.array(world.universe.center_of_mass))
    pybullet.resetBasePositionAndOrientation(
        world.object_body, center.tolist(), [x, y, z, w], physicsClientId=world.client
    )
    at = HAND.n_joints
    other.data.qpos[:at] = angles
    other.data.qpos[at : at + 3] = position
    other.data.qpos[at + 3 : at + 7] = quaternion
    mujoco.mj_kinematics(other.model, other.data)
    mujoco.mj_comPos(other.model, other.data)


def mujoco_gap(world: MujocoWorld, link: str) -> float:
    """Distance between the object and a link [m]."""
    model, target = world.model, world.model.geom("object").id
    mine = [g for g in range(model.ngeom) if model.geom_bodyid[g] == model.body(link).id]
    return float(min(mujoco.mj_geomDistance(model, world.data, g, target, 0.1, None) for g in mine))
