"""Universe: all parameters that may differ between worlds, drawn at random or read from TOML.

Every field has the same meaning in every engine that supports it. The defaults are the nominal
values. The ranges of `scale = 1` are those of Dactyl (arXiv:1808.00177, tables 1, 7 and 8), and
those of `reality_draws` for the effects of rubber and tendons; `docs/universe.md` lists them.
"""

import math
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import numpy as np

from inhand.descriptions import DescriptionKind
from inhand.errors import InhandError
from inhand.hardware.model.hand import Hand
from inhand.hardware.model.reality_draws import draw_reality
from inhand.hardware.model.universe_rules import (
    FACTOR,
    METRES,
    NOT_NEGATIVE,
    PER_ACTUATOR,
    PER_JOINT,
    PER_LIMIT,
    POSITIVE,
    RADIANS,
    SECONDS,
    SENSED,
    fields_with,
    problem,
    sizes,
)

Numbers = tuple[float, ...]
GRAVITY = 9.81

Vary = Literal["everything", "physics", "sensing"]
"""The kind of fields that a draw changes; for ablations."""

RANGES = {
    "object_size": (0.95, 1.05),
    "object_mass": (0.5, 1.5),
    "friction": (0.7, 1.3),
    "link_mass": (0.5, 1.5),
    "joint_damping": (0.3, 3.0),
    "actuator_gain": (0.75, 1.5),
    "torque_limit": (0.75, 1.25),
}
"""Ranges of the factors at scale 1, drawn log-uniformly."""
JOINT_FRICTION = 0.003
"""Standard deviation of a joint's added friction at scale 1 [N·m]."""
ACTION_DELAY = 0.05
"""Action delay of half of the servos at scale 1 [s]."""
POSE_LATENCY = 0.12
"""Longest pose latency at scale 1 [s]."""


class UniverseError(InhandError):
    """A universe file is malformed or does not fit the hand."""


UNIVERSES = DescriptionKind("universe", UniverseError)

Factor = Annotated[float, POSITIVE, FACTOR]
Amount = Annotated[float, NOT_NEGATIVE]
Length = Annotated[float, NOT_NEGATIVE, METRES]
Time = Annotated[float, NOT_NEGATIVE, SECONDS]
SensedAmount = Annotated[float, NOT_NEGATIVE, SENSED]
SensedTime = Annotated[float, NOT_NEGATIVE, SECONDS, SENSED]
SensedPair = Annotated[tuple[float, float], NOT_NEGATIVE, SENSED]
SensedAngles = Annotated[tuple[float, float], NOT_NEGATIVE, RADIANS, SENSED]
PerJoint = Annotated[Numbers, NOT_NEGATIVE, PER_JOINT]
JointFactors = Annotated[Numbers, NOT_NEGATIVE, FACTOR, PER_JOINT]
ServoFactors = Annotated[Numbers, NOT_NEGATIVE, FACTOR, PER_ACTUATOR]
PerActuator = Annotated[Numbers, NOT_NEGATIVE, PER_ACTUATOR]


class MujocoSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Solver settings of MuJoCo: time step [s], contact time constant [s]."""

    timestep: float = 0.01
    iterations: int = 6
    contact_time: float = 0.02
    elliptic_cone: bool = False


class PybulletSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Solver settings of PyBullet: time step [s]."""

    timestep: float = 0.002
    iterations: int = 50


class DrakeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of Drake.

    Attributes:
        timestep: [s].
        contact: contact model: pressure fields (hydroelastic), or points.
        solver: Drake's discrete contact approximation.
        modulus: hydroelastic modulus of the hand [Pa]; `contact_softness` makes it softer.
        edge_radius: radius of the object's edges and corners [m].
        fingertips: collision shape of the fingertip links: the capsules of the hand, ellipsoids
            with the same axes, or only the spheres at their outer ends.
    """

    timestep: float = 0.0025
    contact: Literal["hydroelastic", "point"] = "hydroelastic"
    solver: Literal["lagged", "similar", "sap"] = "lagged"
    modulus: float = 5e5
    edge_radius: float = 0.002
    fingertips: Literal["capsule", "ellipsoid", "sphere"] = "capsule"


class Universe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One world. An empty tuple stands for nominal values in every element.

    Attributes:
        object_size: factor on every extent of the object.
        object_mass: factor.
        friction: factor on the friction coefficient between object and hand.
        center_of_mass: offset of the object's centre of mass, object frame [m].
        link_mass: factors, (n_joints,).
        joint_damping: factors, (n_joints,).
        joint_friction: Coulomb friction added to the hand's [N·m], (n_joints,).
        actuator_gain: factors, (n_actuators,).
        torque_limit: factors, (n_actuators,).
        limit_offset: added to the lower and upper joint limits [rad], (2 n_joints,).
        backlash: half-width of the slack between servo and joint [rad], (n_actuators,).
        compliance: rotation of a joint per torque while its servo's encoder is at rest
            [rad/(N·m)], (n_actuators,).
        stiction: static friction minus kinetic friction [N·m], (n_joints,).
        link_length: added to the distance of each joint from its parent joint [m], (n_joints,).
        shape_radius: factors on the radius of each link's capsules, (n_joints,).
        mounting_tilt: rotation of the hand about the world's x and y axes, as a rotation vector
            through the middle of its workspace [rad]. Gravity and cameras do not rotate with it.
        torsional_friction: coefficient between object and hand [m]: largest torque about the
            normal of a contact, divided by the normal force.
        contact_softness: additional indentation of a fingertip under 1 N, compared with the
            engine's own contact [m].
        contact_rebound: rebound height of the block on the palm over its drop height of 1 cm;
            needs `contact_softness`.
        gravity: world frame [m/s²].
        action_delay: delay from command to servo [s], (n_actuators,).
        action_latency: additional delay, the same for all servos [s].
        control_jitter: largest additional delay of each tick's commands, uniform from 0 [s].
        joint_noise: standard deviation in each step, and of the constant bias in an episode [rad].
        position_noise: the same for the object's position [m].
        rotation_noise: the same for the object's orientation [rad].
        joint_latency: age of joint readings [s].
        pose_latency: age of object poses [s].
        pose_interval: shortest time between poses [s]; 0: the interval of the cameras.
        pose_dropout: probability that a pose measurement is missing.
        pose_freeze: probability per second that poses freeze for one second.
        pose_outlier: probability that a pose measurement is an outlier.
        camera_shift: standard deviation of camera positions [m] and orientations [rad].
        camera_focal: relative standard deviation of focal lengths.
        push_rate: pushes on the object [1/s].
        push_acceleration: standard deviation of a push [m/s²], constant for one policy step.
        pause_rate: pauses of the controller [1/s]; the servos keep their last targets.
        pause_time: length of a pause [s].
    """

    object_size: Factor = 1.0
    object_mass: Factor = 1.0
    friction: Factor = 1.0
    center_of_mass: Annotated[tuple[float, float, float], METRES] = (0.0, 0.0, 0.0)
    link_mass: JointFactors = ()
    joint_damping: JointFactors = ()
    joint_friction: PerJoint = ()
    actuator_gain: ServoFactors = ()
    torque_limit: ServoFactors = ()
    limit_offset: Annotated[Numbers, RADIANS, PER_LIMIT] = ()
    backlash: Annotated[Numbers, NOT_NEGATIVE, RADIANS, PER_ACTUATOR] = ()
    compliance: PerActuator = ()
    stiction: PerJoint = ()
    link_length: Annotated[Numbers, METRES, PER_JOINT] = ()
    shape_radius: Annotated[Numbers, POSITIVE, FACTOR, PER_JOINT] = ()
    mounting_tilt: Annotated[tuple[float, float], RADIANS] = (0.0, 0.0)
    torsional_friction: Length = 0.0
    contact_softness: Length = 0.0
    contact_rebound: Amount = 0.0
    gravity: tuple[float, float, float] = (0.0, 0.0, -GRAVITY)
    action_delay: Annotated[Numbers, NOT_NEGATIVE, SECONDS, PER_ACTUATOR] = ()
    action_latency: Time = 0.0
    control_jitter: Time = 0.0
    joint_noise: SensedAngles = (0.0, 0.0)
    position_noise: Annotated[tuple[float, float], NOT_NEGATIVE, METRES, SENSED] = (0.0, 0.0)
    rotation_noise: SensedAngles = (0.0, 0.0)
    joint_latency: SensedTime = 0.0
    pose_latency: SensedTime = 0.0
    pose_interval: SensedTime = 0.0
    pose_dropout: SensedAmount = 0.0
    pose_freeze: SensedAmount = 0.0
    pose_outlier: SensedAmount = 0.0
    camera_shift: SensedPair = (0.0, 0.0)
    camera_focal: SensedAmount = 0.0
    push_rate: Amount = 0.0
    push_acceleration: Amount = 0.0
    pause_rate: Amount = 0.0
    pause_time: Time = 0.0
    mujoco: MujocoSettings = MujocoSettings()
    pybullet: PybulletSettings = PybulletSettings()
    drake: DrakeSettings = DrakeSettings()


SENSING = fields_with(Universe, SENSED)
"""Fields of sensing; all others are physics."""


def load_universe(path: Path, hand: Hand) -> Universe:
    """Reads a universe from TOML.

    Raises:
        UniverseError: the file is missing, malformed, or sized for another hand.
    """
    universe = UNIVERSES.convert(UNIVERSES.read(path), path, Universe)
    for name, size in sizes(Universe, hand).items():
        given = len(getattr(universe, name))
        if given not in (0, size):
            raise UniverseError(f"universe file {path}: {name} has {given} values, not {size}")
    if wrong := problem(universe):
        raise UniverseError(f"universe file {path}: {wrong}")
    return universe


def trained_range(field: str, scale: float) -> tuple[float, float]:
    """Range of a field of joints or servos in nearly all training universes of a policy.

    Args:
        field: `joint_damping`, `joint_friction`, `actuator_gain`, `torque_limit`, `action_delay`.
        scale: of the training universes.
    """
    if field == "joint_friction":
        return 0.0, 2 * JOINT_FRICTION * scale
    if field == "action_delay":
        return 0.0, ACTION_DELAY * scale
    low, high = RANGES[field]
    return low**scale, high**scale


def sample(
    hand: Hand, rng: np.random.Generator, scale: float, vary: Vary = "everything"
) -> Universe:
    """Draws a universe; `scale` multiplies log-ranges and standard deviations.

    Args:
        hand: defines the sizes of fields of joints and servos.
        rng: source of randomness; `vary` does not change which numbers are taken from it.
        scale: 0 is nominal, 1 the published ranges.
        vary: the kind of fields that differ from nominal.
    """

    def factors(name: str, size: int) -> Numbers:
        low, high = RANGES[name]
        logs = rng.uniform(scale * math.log(low), scale * math.log(high), size)
        return tuple(np.exp(logs).tolist())

    def slacks(sigma: float, size: int) -> Numbers:
        return tuple(np.abs(rng.normal(0.0, scale * sigma, size)).tolist())

    def normal(sigma: float, size: int) -> Numbers:
        return tuple(rng.normal(0.0, scale * sigma, size).tolist())

    joints, actuators = hand.n_joints, hand.n_actuators
    gravity = normal(0.4, 3)
    offset = normal(0.002, 3)
    delayed = rng.random(actuators) < 0.5
    universe = Universe(
        object_size=factors("object_size", 1)[0],
        object_mass=factors("object_mass", 1)[0],
        friction=factors("friction", 1)[0],
        center_of_mass=(offset[0], offset[1], offset[2]),
        link_mass=factors("link_mass", joints),
        joint_damping=factors("joint_damping", joints),
        joint_friction=slacks(JOINT_FRICTION, joints),
        actuator_gain=factors("actuator_gain", actuators),
        torque_limit=factors("torque_limit", actuators),
        limit_offset=normal(0.05, 2 * joints),
        backlash=slacks(0.02, actuators),
        gravity=(gravity[0], gravity[1], gravity[2] - GRAVITY),
        action_delay=tuple((ACTION_DELAY * scale * delayed).tolist()),
        control_jitter=0.005 * scale,
        joint_noise=(0.01 * scale, 0.02 * scale),
        position_noise=(0.001 * scale, 0.005 * scale),
        rotation_noise=(0.05 * scale, 0.05 * scale),
        joint_latency=0.01 * scale * float(rng.random()),
        pose_latency=POSE_LATENCY * scale * float(rng.random()),
        pose_dropout=min(0.05 * scale, 0.5),
        pose_freeze=min(0.2 * scale, 1.0),
        pose_outlier=min(0.01 * scale, 0.2),
        camera_shift=(0.0015 * scale, 0.025 * scale),
        camera_focal=0.01 * scale,
        push_rate=0.2 * scale,
        push_acceleration=1.0 * scale,
    )
    # These fields are drawn last, so that they do not change the draws of the fields above.
    universe = msgspec.structs.replace(universe, **draw_reality(hand, rng, scale))
    if vary == "everything":
        return universe
    nominal = Universe()
    names = [f for f in nominal.__struct_fields__ if (f in SENSING) == (vary == "physics")]
    return msgspec.structs.replace(universe, **{name: getattr(nominal, name) for name in names})
