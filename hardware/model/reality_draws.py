"""What rubber, tendons, assembly and slow computers do to a world, drawn at random.

The ranges of scale 1, with their sources, stand in `docs/universe.md`.
"""

from typing import TYPE_CHECKING

import numpy as np

from inhand.hardware.model.hand import Hand
from inhand.hardware.records import Array

if TYPE_CHECKING:
    from inhand.hardware.model.universe import Universe

TORSIONAL_FRICTION = 0.005
"""Largest at scale 1 [m]: MuJoCo's default. A soft fingertip with a contact patch of radius a has
3π/16 · friction · a, 2 mm for a patch of 3 mm."""
CONTACT_SOFTNESS = 0.002
"""Largest at scale 1 [m]: a fingertip of 7 mm sinks 0.8 mm under 1 N at a modulus of 5e5 Pa, and
2.5 mm at a tenth of that."""
CONTACT_REBOUND = 0.1
"""Largest at scale 1."""
COMPLIANCE = 0.05
"""Standard deviation at scale 1 [rad/(N·m)]: a tendon of 1 mm polyethylene fibre, 0.3 m long, on a
pulley of 10 mm turns by 0.06."""
STICTION = 0.003
"""Standard deviation at scale 1 [N·m]: as much as that of the joints' friction."""
LINK_LENGTH = 0.001
"""Standard deviation at scale 1 [m]: 2 mm are two of them."""
SHAPE_RADIUS = 0.05
"""Largest relative change at scale 1."""
MOUNTING_TILT = 0.05
"""Standard deviation an axis at scale 1 [rad]: three degrees."""
ACTION_LATENCY = 0.075
"""Longest at scale 1 [s]: 1.5 steps of the policy, as automatic randomization reached for DeXtreme
(arXiv:2210.13702)."""
POSE_INTERVAL = (0.05, 0.3)
"""One to six steps of the policy at scale 1 [s], as it reached there."""
PAUSE_RATE = 0.1
"""At scale 1 [1/s]."""
PAUSE_TIME = 0.15
"""Longest at scale 1 [s]."""


def draw_reality(
    hand: Hand, rng: np.random.Generator, scale: float
) -> dict[str, float | tuple[float, ...]]:
    """Draws these fields of a universe.

    Args:
        hand: what fields of joints and servos are sized for.
        rng: source of randomness; takes the same numbers at any scale.
        scale: 0 is nominal.

    Returns:
        Values by the names of fields.
    """
    joints, actuators = hand.n_joints, hand.n_actuators
    share = rng.random(6)
    tilt = scale * MOUNTING_TILT * rng.standard_normal(2)
    radius = np.exp(scale * np.log1p(SHAPE_RADIUS) * rng.uniform(-1.0, 1.0, joints))
    first, last = POSE_INTERVAL
    return {
        "torsional_friction": float(scale * TORSIONAL_FRICTION * share[0]),
        "contact_softness": float(scale * CONTACT_SOFTNESS * share[1]),
        "contact_rebound": float(min(scale * CONTACT_REBOUND * share[2], 0.5)),
        "compliance": _sizes(rng, scale * COMPLIANCE, actuators),
        "stiction": _sizes(rng, scale * STICTION, joints),
        "link_length": tuple((scale * LINK_LENGTH * rng.standard_normal(joints)).tolist()),
        "shape_radius": tuple(radius.tolist()),
        "mounting_tilt": (float(tilt[0]), float(tilt[1])),
        "action_latency": float(scale * ACTION_LATENCY * share[3]),
        "pause_rate": PAUSE_RATE * scale,
        "pause_time": float(scale * PAUSE_TIME * share[4]),
        "pose_interval": float(first + scale * (last - first) * share[5]) if scale else 0.0,
    }


def describe_reality(hand: Hand, universe: "Universe") -> Array:
    """These fields and what else a learner may be told of servos and joints, as one vector.

    Args:
        hand: what fields of joints and servos are sized for.
        universe: whose.

    Returns:
        Each over its range at scale 1, (n,): zero in the nominal world.
    """
    joints, actuators = hand.n_joints, hand.n_actuators
    single = np.array(
        [
            universe.torsional_friction / TORSIONAL_FRICTION,
            universe.contact_softness / CONTACT_SOFTNESS,
            universe.contact_rebound / CONTACT_REBOUND,
            universe.action_latency / ACTION_LATENCY,
            universe.mounting_tilt[0] / MOUNTING_TILT,
            universe.mounting_tilt[1] / MOUNTING_TILT,
        ]
    )
    return np.concatenate(
        [
            single,
            _filled(universe.compliance, actuators) / COMPLIANCE,
            np.log(_filled(universe.torque_limit, actuators, 1.0)) / 0.25,
            _filled(universe.joint_friction, joints) / STICTION,
            _filled(universe.stiction, joints) / STICTION,
            _filled(universe.link_length, joints) / LINK_LENGTH,
            np.log(_filled(universe.shape_radius, joints, 1.0)) / SHAPE_RADIUS,
        ]
    )


def _filled(values: tuple[float, ...], size: int, nominal: float = 0.0) -> Array:
    """An empty tuple stands for nominal values."""
    return np.array(values) if values else np.full(size, nominal)


def _sizes(rng: np.random.Generator, sigma: float, size: int) -> tuple[float, ...]:
    return tuple(np.abs(sigma * rng.standard_normal(size)).tolist())
