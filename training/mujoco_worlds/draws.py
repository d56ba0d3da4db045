"""How universes of training are drawn: one strength an axis, and a universe from the strengths.

An axis is one way in which worlds differ, such as the gain of all servos. Its strength is 0 in the
nominal world and 1, or -1, at the end of the range that `docs/universe.md` lists. All servos of a
world share the strength of their axis, and each deviates from it by up to a third of the range. If
every servo were drawn by itself, the mean of twenty would never be near the end of the range, and a
hand whose servos are all weak would be unlike everything in training.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from inhand.hardware.model import reality_draws as reality
from inhand.hardware.model.hand import Hand
from inhand.hardware.model.universe import (
    GRAVITY,
    JOINT_FRICTION,
    RANGES,
    SENSING,
    MujocoSettings,
    Numbers,
    Universe,
    Vary,
)
from inhand.hardware.records import Array

SPREAD = 1.0 / 3.0
"""Deviation of one joint or servo from the factor that all share, in units of the range."""

WIDE = {**RANGES, "object_size": (1 / 1.15, 1.15), "object_mass": (0.4, 1.6)}
"""Ranges of factors at strengths -1 and 1. Size and mass reach further than in the paper, since one
policy is to turn objects of different size."""

BACKLASH = 0.04
"""Half-width of the slack at strength 1 [rad]: two standard deviations of `sample`."""

COMMON_DELAY, OWN_DELAY = 0.07, 0.02
"""Delay of all servos at strength 1 [s], and the range of each servo's own: 80 ms ± 10 ms."""

POSE_LATENCY = 0.13
"""At strength 1 [s], on top of the pipeline's."""


@dataclass(frozen=True)
class Axis:
    """One way in which worlds differ.

    Attributes:
        two_sided: whether negative strengths exist.
        farthest: largest strength that automatic ranges may reach.
        sensing: whether it acts on what is measured, and not on the physics.
    """

    two_sided: bool = False
    farthest: float = 2.0
    sensing: bool = False


def _axes() -> dict[str, Axis]:
    factors = dict.fromkeys(RANGES, Axis(two_sided=True))
    # Meshes exist for sizes from 0.84 to 1.16.
    factors["object_size"] = Axis(two_sided=True, farthest=1.06)
    sided = dict.fromkeys(("shape_radius", "timestep", "iterations"), Axis(True, 1.5))
    physics = (
        "center_of_mass gravity joint_friction limit_offset backlash compliance stiction "
        "link_length mounting_tilt torsional_friction contact_softness contact_rebound "
        "contact_time elliptic_cone action_latency control_jitter push_rate push_acceleration "
        "pause_rate pause_time adversary"
    )
    sensing = "joint_noise position_noise rotation_noise joint_latency pose_latency pose_interval "
    sensing += "pose_dropout pose_freeze pose_outlier pose_injection"
    return {
        **factors,
        **sided,
        **dict.fromkeys(physics.split(), Axis()),
        **dict.fromkeys(sensing.split(), Axis(sensing=True)),
    }


AXES = _axes()
"""Every axis, in the order of vectors of strengths."""

NAMES = tuple(AXES)

_DELAYS = "action_latency control_jitter joint_latency pose_latency pose_interval "
_DELAYS += "pause_rate pause_time"

DELAYS = np.array([NAMES.index(name) for name in _DELAYS.split()])
"""Numbers of the axes that are far out on a robot whose parts are all slow."""

NOMINAL_EVERY = 8
"""One in this number of worlds stays nominal, so that performance there does not degrade."""

Strengths = Array
"""One strength for each axis, (len(AXES),) or (n, len(AXES))."""


def axes_of(vary: Vary) -> Array:
    """Which axes a kind of draws changes, (len(AXES),) of 0 and 1."""
    kinds = [vary == "everything" or (vary == "sensing") == axis.sensing for axis in AXES.values()]
    return np.array(kinds, dtype=np.float64)


def scaled_strengths(rng: np.random.Generator, n: int, scale: float) -> Strengths:
    """Strengths of n worlds, each with ranges that are `scale` times a share uniform in [0, 1].

    So every batch has nearly nominal worlds, and worlds in which much is off at once.
    """
    low = np.array([-1.0 if axis.two_sided else 0.0 for axis in AXES.values()])
    share = scale * rng.random((n, 1))
    drawn: Array = share * rng.uniform(low, 1.0, (n, len(AXES)))
    return drawn


def universe_of(hand: Hand, rng: np.random.Generator, strengths: Strengths) -> Universe:
    """The universe with these strengths; what joints and servos have of their own is random.

    Args:
        hand: defines the sizes of fields of joints and servos.
        rng: source of randomness; strengths do not change which numbers are taken from it.
        strengths: of each axis, (len(AXES),). All zero is the nominal world.
    """
    at = dict(zip(NAMES, strengths.tolist(), strict=True))
    joints, actuators = hand.n_joints, hand.n_actuators
    own = {
        "link_mass": joints,
        "joint_damping": joints,
        "actuator_gain": actuators,
        "torque_limit": actuators,
    }
    single: dict[str, Any] = {
        name: _factor(name, at[name]) for name in ("object_size", "object_mass", "friction")
    }
    several: dict[str, Any] = {
        name: _factors(rng, name, at[name], size) for name, size in own.items()
    }
    offset = 0.002 * at["center_of_mass"] * rng.standard_normal(3)
    gravity = 0.4 * at["gravity"] * rng.standard_normal(3) - [0.0, 0.0, GRAVITY]
    tilt = reality.MOUNTING_TILT * at["mounting_tilt"] * rng.standard_normal(2)
    limits = 0.05 * at["limit_offset"] * rng.standard_normal(2 * joints)
    lengths = reality.LINK_LENGTH * at["link_length"] * rng.standard_normal(joints)
    radius = at["shape_radius"] + _spread(at["shape_radius"]) * rng.uniform(-1.0, 1.0, joints)
    return Universe(
        **single,
        **several,
        center_of_mass=(offset[0].item(), offset[1].item(), offset[2].item()),
        gravity=(gravity[0].item(), gravity[1].item(), gravity[2].item()),
        mounting_tilt=(tilt[0].item(), tilt[1].item()),
        limit_offset=tuple(limits.tolist()),
        link_length=tuple(lengths.tolist()),
        shape_radius=tuple(np.exp(math.log1p(reality.SHAPE_RADIUS) * radius).tolist()),
        joint_friction=_sizes(rng, 2 * JOINT_FRICTION, at["joint_friction"], joints),
        stiction=_sizes(rng, 2 * reality.STICTION, at["stiction"], joints),
        backlash=_sizes(rng, BACKLASH, at["backlash"], actuators),
        compliance=_sizes(rng, 2 * reality.COMPLIANCE, at["compliance"], actuators),
        action_latency=COMMON_DELAY * at["action_latency"],
        action_delay=tuple((OWN_DELAY * at["action_latency"] * rng.random(actuators)).tolist()),
        torsional_friction=reality.TORSIONAL_FRICTION * at["torsional_friction"],
        contact_softness=reality.CONTACT_SOFTNESS * at["contact_softness"],
        contact_rebound=min(reality.CONTACT_REBOUND * at["contact_rebound"], 0.5),
        push_rate=0.2 * at["push_rate"],
        push_acceleration=at["push_acceleration"],
        pause_rate=reality.PAUSE_RATE * at["pause_rate"],
        pause_time=reality.PAUSE_TIME * at["pause_time"],
        control_jitter=0.005 * at["control_jitter"],
        mujoco=_solver(rng, at),
        **_sensing(at),
    )


def only(vary: Vary, universe: Universe) -> Universe:
    """The universe with all fields of the other kind nominal."""
    if vary == "everything":
        return universe
    fields = {
        name: getattr(universe if (name in SENSING) == (vary == "sensing") else Universe(), name)
        for name in Universe.__struct_fields__
    }
    return Universe(**fields)


def _sensing(at: Mapping[str, float]) -> dict[str, Any]:
    first, last = reality.POSE_INTERVAL
    interval = at["pose_interval"]
    noise = {"joint_noise": (0.01, 0.02), "position_noise": (0.001, 0.005)}
    noise["rotation_noise"] = (0.05, 0.05)
    return {
        **{name: (at[name] * step, at[name] * bias) for name, (step, bias) in noise.items()},
        "joint_latency": 0.01 * at["joint_latency"],
        "pose_latency": POSE_LATENCY * at["pose_latency"],
        "pose_interval": first + interval * (last - first) if interval else 0.0,
        "pose_dropout": min(0.05 * at["pose_dropout"], 0.5),
        "pose_freeze": min(0.2 * at["pose_freeze"], 1.0),
        "pose_outlier": min(0.01 * at["pose_outlier"], 0.2),
        # Cameras act on images alone; a mounting that is off moves them as poses are off.
        "camera_shift": (0.0015 * at["rotation_noise"], 0.025 * at["rotation_noise"]),
        "camera_focal": 0.01 * at["rotation_noise"],
    }


def _solver(rng: np.random.Generator, at: Mapping[str, float]) -> MujocoSettings:
    """MuJoCo's solver settings around the nominal ones.

    All worlds of a batch have the same number of steps in a tick: with a longer time step, a tick
    is longer than the policy assumes, as in Dactyl (arXiv:1808.00177, appendix C.2). Contacts only
    become softer, as the nominal time constant is MuJoCo's smallest: two time steps.
    """
    nominal = MujocoSettings()
    return MujocoSettings(
        timestep=nominal.timestep * 1.04 ** at["timestep"],
        iterations=max(4, round(nominal.iterations * 1.5 ** at["iterations"])),
        contact_time=nominal.contact_time * 1.5 ** at["contact_time"],
        elliptic_cone=bool(rng.random() < min(0.5 * at["elliptic_cone"], 0.5)),
    )


def _spread(strength: float) -> float:
    """Largest deviation of one joint or servo; full from a third of the range on."""
    return min(abs(strength), SPREAD)


def _factor(name: str, strength: float) -> float:
    low, high = WIDE[name]
    return float(low ** max(-strength, 0.0) * high ** max(strength, 0.0))


def _factors(rng: np.random.Generator, name: str, strength: float, size: int) -> Numbers:
    each = strength + _spread(strength) * rng.uniform(-1.0, 1.0, size)
    return tuple(_factor(name, one) for one in each.tolist())


def _sizes(rng: np.random.Generator, most: float, strength: float, size: int) -> Numbers:
    each = strength + _spread(strength) * rng.uniform(-1.0, 1.0, size)
    return tuple((most * np.maximum(each, 0.0)).tolist())
