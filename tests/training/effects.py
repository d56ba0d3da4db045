"""What a universe does to the physics, measured the same way in every engine."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

import msgspec
import numpy as np
import pybullet

from inhand.hardware.model.hand import Hand
from inhand.hardware.model.kinematics import link_poses
from inhand.hardware.model.universe import Universe
from inhand.hardware.records import Array
from inhand.perception import rotations
from inhand.perception.objects import load_object
from inhand.sim_backend.world import World
from inhand.training.mujoco_worlds.world import MujocoWorld
from tests.hands import level

HAND = level()
BLOCK = load_object("block")
ON = np.ones(HAND.n_actuators, dtype=np.bool_)
UPRIGHT = np.array([1.0, 0.0, 0.0, 0.0])
FAR = (0.6, 0.335, 3.0)
"""Where the object touches nothing while it falls for half a second."""
ON_PALM = (-0.02, 0.285, 0.0391)
"""The block flat on the palm, beside the thumb."""
STIFF_WRIST = tuple(5.0 if a.name.startswith("WR") else 1.0 for a in HAND.actuators)
STRONG_WRIST = tuple(20.0 if a.name.startswith("WR") else 1.0 for a in HAND.actuators)
FLAT = np.zeros(HAND.n_actuators)
"""Targets of the open hand."""
PALM = HAND.link_names.index("palm")
PALM_THICKNESS = HAND.links[PALM].shapes[0].size[1]
"""Half of it: how high the palm's surface is above its joint [m]."""
WEIGHTLESS = (0.0, 0.0, 0.0)
TORQUE = 0.93 / 1.8
"""Of a servo of the fingers by its current [N·m/A]."""

AnyWorld = Any
"""With the face that the worlds of all engines share."""


@dataclass(frozen=True)
class Engine:
    """A way to make a world."""

    name: str
    make: Callable[[Hand, Universe], AnyWorld]

    def world(self, start: tuple[float, float, float] = FAR, **fields: Any) -> AnyWorld:
        """A world of the universe with these fields, the block upright at `start`."""
        hand = replace(HAND, workspace=msgspec.structs.replace(HAND.workspace, object_start=start))
        world = self.make(hand, msgspec.convert(fields, Universe))
        world.reset(UPRIGHT)
        return world


def _drake(hand: Hand, universe: Universe) -> AnyWorld:
    """Drake is an extra, and slow to import."""
    from inhand.sim_backend.drake.world import DrakeWorld

    return DrakeWorld(hand, BLOCK, universe, seed=1)


PYBULLET = Engine("pybullet", lambda hand, universe: World(hand, BLOCK, universe, seed=1))
MUJOCO = Engine("mujoco", lambda hand, universe: MujocoWorld(hand, BLOCK, universe, seed=1))
DRAKE = Engine("drake", _drake)
ENGINES = (PYBULLET, MUJOCO, DRAKE) if find_spec("pydrake") else (PYBULLET, MUJOCO)


def run(world: AnyWorld, seconds: float, targets: Array) -> None:
    """Steps the world with all servos on."""
    for _ in range(round(seconds / world.timestep)):
        world.step(targets, ON)


def per_actuator(name: str, value: float, otherwise: float) -> tuple[float, ...]:
    """Values of a per-actuator field, one of them special."""
    return tuple(value if other == name else otherwise for other in HAND.actuator_names)


def per_joint(name: str, value: float, otherwise: float) -> tuple[float, ...]:
    """Values of a per-joint field, one of them special."""
    return tuple(value if other == name else otherwise for other in HAND.joint_names)


def spin(world: AnyWorld, speed: float) -> None:
    """Gives the block an angular velocity about the vertical [rad/s]."""
    if isinstance(world, World):
        pybullet.resetBaseVelocity(
            world.object_body, [0, 0, 0], [0, 0, speed], physicsClientId=world.client
        )
    elif not isinstance(world, MujocoWorld):
        world.set_object_velocity(np.zeros(3), np.array([0.0, 0.0, speed]))
    else:
        at = HAND.n_joints
        world.data.qvel[at : at + 6] = 0.0, 0.0, 0.0, 0.0, 0.0, speed


def fall(world: AnyWorld) -> Array:
    """Acceleration of the free object, from three positions 0.1 s apart [m/s²], (3,)."""
    positions = []
    for _ in range(3):
        positions.append(world.object_pose()[0])
        run(world, 0.1, HAND.rest)
    return np.asarray((positions[2] - 2 * positions[1] + positions[0]) / 0.01)


def tilted(degrees: float) -> tuple[float, float, float]:
    """Gravity as on a palm whose fingers are lowered by an angle: it pulls towards +y."""
    angle = np.radians(degrees)
    return (0.0, 9.81 * float(np.sin(angle)), -9.81 * float(np.cos(angle)))


@dataclass(frozen=True)
class Slide:
    """What became of the block on a tilted palm.

    Attributes:
        slope: tangent of the palm's tilt against gravity.
        slid: how far it went along the palm [m].
        turned: how far it turned against the palm [rad].
    """

    slope: float
    slid: float
    turned: float


def slide(engine: Engine, degrees: float, **fields: Any) -> Slide:
    """Leaves the block on the tilted palm for 0.6 s."""
    gravity = tilted(degrees)
    world = engine.world(
        ON_PALM, gravity=gravity, actuator_gain=STIFF_WRIST, torque_limit=STRONG_WRIST, **fields
    )
    run(world, 0.1, FLAT)
    position, rotation = in_palm(world)
    run(world, 0.6, FLAT)
    position_after, rotation_after = in_palm(world)
    turn = rotations.log(rotations.from_matrix(rotation.T @ rotation_after))
    matrices, _ = link_poses(HAND, world.joint_angles())
    inward = matrices[PALM] @ np.array([0.0, 1.0, 0.0])
    cosine = inward @ np.array(gravity) / np.linalg.norm(gravity)
    world.close()
    return Slide(
        slope=float(np.tan(np.arccos(cosine))),
        slid=float(np.linalg.norm(position_after - position)),
        turned=float(np.linalg.norm(turn)),
    )


def in_palm(world: AnyWorld) -> tuple[Array, Array]:
    """Position (3,) [m] and rotation (3, 3) of the block in the palm's frame."""
    matrices, positions = link_poses(HAND, world.joint_angles())
    position, quaternion = world.object_pose()
    into: Array = matrices[PALM].T
    offset: Array = into @ (position - positions[PALM])
    turn: Array = into @ rotations.to_matrix(quaternion)
    return offset, turn


def resting_height(world: AnyWorld) -> float:
    """Height of the block's centre above the palm's surface [m]."""
    run(world, 0.5, FLAT)
    return -float(in_palm(world)[0][1]) - PALM_THICKNESS


def velocity(world: AnyWorld) -> Array:
    """Velocity of the weightless object after pushes for half a second [m/s], (3,)."""
    run(world, 0.48, HAND.rest)
    before = world.object_pose()[0]
    run(world, 0.01, HAND.rest)
    return np.asarray((world.object_pose()[0] - before) / 0.01)


def respond(world: AnyWorld, joint: str, to: float, seconds: float) -> tuple[Array, Array]:
    """Commands one servo of the settled flat hand to a new angle.

    Returns:
        times [s] and the joint's angles [rad], (n,).
    """
    targets = FLAT.copy()
    run(world, 2.0, targets)
    targets[HAND.actuator_names.index(joint)] = to
    number = HAND.joint_names.index(joint)
    angles = []
    for _ in range(round(seconds / world.timestep)):
        world.step(targets, ON)
        angles.append(world.joint_angles()[number])
    return np.arange(1, len(angles) + 1) * world.timestep, np.array(angles)


def rise_time(world: AnyWorld, joint: str) -> float:
    """Time to 63 % of a small step [s]."""
    times, angles = respond(world, joint, 0.3, 1.5)
    return float(np.interp(0.632 * 0.3, angles, times))


def top_speed(world: AnyWorld, joint: str) -> float:
    """Speed of a joint under a saturated servo, once it has picked up [rad/s]."""
    times, angles = respond(world, joint, 1.5, 0.3)
    at = np.interp([0.15, 0.25], times, angles)
    return float(at[1] - at[0]) / 0.1


def onsets(world: AnyWorld, joint: str, commands: int) -> Array:
    """How long after each of many commands, to and fro, a servo pulls [s], (commands,)."""
    servo = HAND.actuator_names.index(joint)
    targets = FLAT.copy()
    targets[servo] = 0.15
    run(world, 1.0, targets)
    times = []
    for command in range(commands):
        targets[servo] = 0.25 if command % 2 == 0 else 0.15
        began, pull, pulled = world.time, world.encoders()[2][servo], None
        while world.time < began + 0.05 - 1e-9:
            world.step(targets, ON)
            before, pull = pull, world.encoders()[2][servo]
            if pulled is None and abs(pull - before) > 0.5 * 0.1 * HAND.gain[servo] / TORQUE:
                pulled = world.time - began
        assert pulled is not None
        times.append(pulled)
    return np.array(times)
