"""Random draws of the effects of rubber, tendons, assembly and slow computers.

`docs/universe.md` lists the ranges of scale 1 with their sources.
"""

import numpy as np

from inhand.hardware.model.hand import Hand

TORSIONAL_FRICTION = 0.005
"""Largest value at scale 1 [m]: MuJoCo's default. A soft fingertip with a contact patch of radius a
has 3π/16 · friction · a, 2 mm for a patch of 3 mm."""
CONTACT_SOFTNESS = 0.002
"""Largest value at scale 1 [m]: the indentation of a fingertip of 7 mm under 1 N is 0.8 mm at a
modulus of 5e5 Pa, and 2.5 mm at a tenth of that."""
CONTACT_REBOUND = 0.1
"""Largest value at scale 1."""
COMPLIANCE = 0.05
"""Standard deviation at scale 1 [rad/(N·m)]: a tendon of 1 mm polyethylene fibre, 0.3 m long, on a
pulley of 10 mm has 0.06."""
STICTION = 0.003
"""Standard deviation at scale 1 [N·m]: equal to that of `joint_friction`."""
LINK_LENGTH = 0.001
"""Standard deviation at scale 1 [m]: an error of 2 mm is two of them."""
SHAPE_RADIUS = 0.05
"""Largest relative change at scale 1."""
MOUNTING_TILT = 0.05
"""Standard deviation of each axis at scale 1 [rad]: three degrees."""
ACTION_LATENCY = 0.075
"""Longest latency at scale 1 [s]: 1.5 policy steps, as DeXtreme reached with automatic domain
randomisation (arXiv:2210.13702)."""
POSE_INTERVAL = (0.05, 0.3)
"""Range at scale 1 [s]: one to six policy steps, from the same source."""
PAUSE_RATE = 0.1
"""Value at scale 1 [1/s]."""
PAUSE_TIME = 0.15
"""Longest pause at scale 1 [s]."""


def draw_reality(
    hand: Hand, rng: np.random.Generator, scale: float
) -> dict[str, float | tuple[float, ...]]:
    """Draws these fields of a universe.

    Args:
        hand: defines the sizes of fields of joints and servos.
        rng: source of randomness; `scale` does not change which numbers are taken from it.
        scale: 0 is nominal.

    Returns:
        Values by field name.
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


def _sizes(rng: np.random.Generator, sigma: float, size: int) -> tuple[float, ...]:
    return tuple(np.abs(sigma * rng.standard_normal(size)).tolist())
