"""Universe: everything that may differ between worlds, drawn at random or read from TOML.

Every field means the same in every engine that has it. Nominal values are the defaults. The
ranges of `scale = 1` are those of Dactyl (arXiv:1808.00177, tables 1, 7 and 8), and of
`reality_draws` for what rubber and tendons do; `docs/universe.md` lists them.
"""

import math
import tomllib
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from inhand.errors import InhandError
from inhand.hardware.model.hand import Hand
from inhand.hardware.model.reality_draws import draw_reality
from inhand.hardware.model.universe_rules import problem, sizes

Numbers = tuple[float, ...]
GRAVITY = 9.81

Vary = Literal["everything", "physics", "sensing"]
"""Which kind of fields a draw may change; for ablations."""

SENSING = (
    "joint_noise",
    "position_noise",
    "rotation_noise",
    "joint_latency",
    "pose_latency",
    "pose_interval",
    "pose_dropout",
    "pose_freeze",
    "pose_outlier",
    "camera_shift",
    "camera_focal",
)
"""Fields about what a robot measures; all others are physics."""

RANGES = {
    "object_size": (0.95, 1.05),
    "object_mass": (0.5, 1.5),
    "friction": (0.7, 1.3),
    "link_mass": (0.5, 1.5),
    "joint_damping": (0.3, 3.0),
    "actuator_gain": (0.75, 1.5),
    "torque_limit": (0.75, 1.25),
}
"""Ends of the factors at scale 1, drawn log-uniformly."""
JOINT_FRICTION = 0.003
"""Standard deviation of a joint's added friction at scale 1 [N·m]."""
ACTION_DELAY = 0.05
"""Of half of the servos at scale 1 [s]."""
POSE_LATENCY = 0.12
"""The longest at scale 1 [s]."""


class UniverseError(InhandError):
    """A universe file is malformed or does not fit the hand."""


class MujocoSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Solver settings that only MuJoCo reads: time step [s], contact time constant [s]."""

    timestep: float = 0.01
    iterations: int = 6
    contact_time: float = 0.02
    elliptic_cone: bool = False


class PybulletSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Solver settings that only PyBullet reads: time step [s]."""

    timestep: float = 0.002
    iterations: int = 50


class DrakeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What only Drake reads.

    Attributes:
        timestep: [s].
        contact: pressure fields, or points.
        solver: how contact is approximated.
        modulus: of the hand's pressure field [Pa]; `contact_softness` comes on top.
        edge_radius: of the object's edges and corners [m].
        fingertips: shape of the links that carry a fingertip.
    """

    timestep: float = 0.0025
    contact: Literal["hydroelastic", "point"] = "hydroelastic"
    solver: Literal["lagged", "similar", "sap"] = "lagged"
    modulus: float = 5e5
    edge_radius: float = 0.002
    fingertips: Literal["capsule", "ellipsoid"] = "capsule"


class Universe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One world. An empty tuple stands for nominal values in every element.

    Attributes:
        object_size: factor on every extent of the object.
        object_mass: factor.
        friction: factor on the coefficient of the pair object-hand.
        center_of_mass: offset of the object's centre of mass, object frame [m].
        link_mass: factors, (n_joints,).
        joint_damping: factors, (n_joints,).
        joint_friction: Coulomb friction added to the hand's [N·m], (n_joints,).
        actuator_gain: factors, (n_actuators,).
        torque_limit: factors, (n_actuators,).
        limit_offset: added to the lower and upper joint limits [rad], (2 n_joints,).
        backlash: half-width of the slack between servo and joint [rad], (n_actuators,).
        compliance: how far a joint turns under torque while its servo's encoder stands still
            [rad/(N·m)], (n_actuators,).
        stiction: by how much friction at rest is above the one in motion [N·m], (n_joints,).
        link_length: added to the distance of each joint from its parent's [m], (n_joints,).
        shape_radius: factors on the radius of each link's capsules, (n_joints,).
        mounting_tilt: turn of the hand about the world's x and y axes, as a rotation vector
            through the middle of its workspace [rad]. Gravity and cameras do not turn with it.
        torsional_friction: coefficient of the pair object-hand [m]: a contact resists turning
            about its normal with up to so much times its normal force.
        contact_softness: by how much deeper a fingertip sinks under 1 N than in the engine's own
            contact [m].
        contact_rebound: height to which the block bounces off the palm, over the height of 1 cm
            that it fell from; needs `contact_softness`.
        gravity: world frame [m/s²].
        action_delay: from command to servo [s], (n_actuators,).
        action_latency: the same for all servos, on top [s].
        control_jitter: each tick's commands come up to so much later than that, evenly [s].
        joint_noise: standard deviation a step, and of the episode's bias [rad].
        position_noise: the same for the object's position [m].
        rotation_noise: the same for the object's orientation [rad].
        joint_latency: age of joint readings [s].
        pose_latency: age of object poses [s].
        pose_interval: shortest time from one pose to the next [s]; 0 leaves the cameras' own.
        pose_dropout: probability that a pose measurement is missing.
        pose_freeze: probability a second that poses freeze for one second.
        pose_outlier: probability that a pose measurement is a wild one.
        camera_shift: standard deviation of camera positions [m] and turns [rad].
        camera_focal: relative standard deviation of focal lengths.
        push_rate: pushes a second on the object.
        push_acceleration: standard deviation of a push [m/s²], held for one policy step.
        pause_rate: pauses of the controller a second; the servos hold what they were told last.
        pause_time: length of a pause [s].
    """

    object_size: float = 1.0
    object_mass: float = 1.0
    friction: float = 1.0
    center_of_mass: tuple[float, float, float] = (0.0, 0.0, 0.0)
    link_mass: Numbers = ()
    joint_damping: Numbers = ()
    joint_friction: Numbers = ()
    actuator_gain: Numbers = ()
    torque_limit: Numbers = ()
    limit_offset: Numbers = ()
    backlash: Numbers = ()
    compliance: Numbers = ()
    stiction: Numbers = ()
    link_length: Numbers = ()
    shape_radius: Numbers = ()
    mounting_tilt: tuple[float, float] = (0.0, 0.0)
    torsional_friction: float = 0.0
    contact_softness: float = 0.0
    contact_rebound: float = 0.0
    gravity: tuple[float, float, float] = (0.0, 0.0, -GRAVITY)
    action_delay: Numbers = ()
    action_latency: float = 0.0
    control_jitter: float = 0.0
    joint_noise: tuple[float, float] = (0.0, 0.0)
    position_noise: tuple[float, float] = (0.0, 0.0)
    rotation_noise: tuple[float, float] = (0.0, 0.0)
    joint_latency: float = 0.0
    pose_latency: float = 0.0
    pose_interval: float = 0.0
    pose_dropout: float = 0.0
    pose_freeze: float = 0.0
    pose_outlier: float = 0.0
    camera_shift: tuple[float, float] = (0.0, 0.0)
    camera_focal: float = 0.0
    push_rate: float = 0.0
    push_acceleration: float = 0.0
    pause_rate: float = 0.0
    pause_time: float = 0.0
    mujoco: MujocoSettings = MujocoSettings()
    pybullet: PybulletSettings = PybulletSettings()
    drake: DrakeSettings = DrakeSettings()


def load_universe(path: Path, hand: Hand) -> Universe:
    """Reads a universe from TOML.

    Raises:
        UniverseError: the file is missing, malformed, or sized for another hand.
    """
    try:
        universe = msgspec.convert(tomllib.loads(path.read_text()), Universe)
    except OSError as error:
        raise UniverseError(f"universe file {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise UniverseError(f"universe file {path}: {error}") from error
    for name, size in sizes(hand).items():
        given = len(getattr(universe, name))
        if given not in (0, size):
            raise UniverseError(f"universe file {path}: {name} has {given} values, not {size}")
    if wrong := problem(msgspec.structs.asdict(universe)):
        raise UniverseError(f"universe file {path}: {wrong}")
    return universe


def trained_range(field: str, scale: float) -> tuple[float, float]:
    """Between which values a policy met a field of joints or servos in nearly all its universes.

    Args:
        field: `joint_damping`, `joint_friction`, `actuator_gain`, `torque_limit`, `action_delay`.
        scale: of its training universes.
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
        hand: what per-joint fields are sized for.
        rng: source of randomness; the same numbers are taken from it whatever `vary` is.
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
    # What was drawn so far does not depend on what is drawn from here on.
    universe = msgspec.structs.replace(universe, **draw_reality(hand, rng, scale))
    if vary == "everything":
        return universe
    nominal = Universe()
    names = [f for f in nominal.__struct_fields__ if (f in SENSING) == (vary == "physics")]
    return msgspec.structs.replace(universe, **{name: getattr(nominal, name) for name in names})
