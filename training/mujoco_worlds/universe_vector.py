"""Fields of a universe as a vector of a learner."""

import numpy as np

from inhand.hardware.model import reality_draws as ranges
from inhand.hardware.model.hand import Hand
from inhand.hardware.model.universe import Universe
from inhand.hardware.records import Array


def describe_reality(hand: Hand, universe: Universe) -> Array:
    """Effects of rubber, tendons and assembly, torque limits and friction: privileged inputs.

    Args:
        hand: defines the sizes of fields of joints and servos.
        universe: the universe to describe.

    Returns:
        Values divided by their range at scale 1, (n,); zero in the nominal world.
    """
    joints, actuators = hand.n_joints, hand.n_actuators
    single = np.array(
        [
            universe.torsional_friction / ranges.TORSIONAL_FRICTION,
            universe.contact_softness / ranges.CONTACT_SOFTNESS,
            universe.contact_rebound / ranges.CONTACT_REBOUND,
            universe.action_latency / ranges.ACTION_LATENCY,
            universe.mounting_tilt[0] / ranges.MOUNTING_TILT,
            universe.mounting_tilt[1] / ranges.MOUNTING_TILT,
        ]
    )
    return np.concatenate(
        [
            single,
            _filled(universe.compliance, actuators) / ranges.COMPLIANCE,
            np.log(_filled(universe.torque_limit, actuators, 1.0)) / 0.25,
            _filled(universe.joint_friction, joints) / ranges.STICTION,
            _filled(universe.stiction, joints) / ranges.STICTION,
            _filled(universe.link_length, joints) / ranges.LINK_LENGTH,
            np.log(_filled(universe.shape_radius, joints, 1.0)) / ranges.SHAPE_RADIUS,
        ]
    )


def _filled(values: tuple[float, ...], size: int, nominal: float = 0.0) -> Array:
    """An empty tuple stands for nominal values."""
    return np.array(values) if values else np.full(size, nominal)
