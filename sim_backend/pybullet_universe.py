"""A universe as a changed hand and a changed object, from which the PyBullet world is built."""

from dataclasses import replace

import msgspec
import numpy as np

from inhand.hardware.model.hand import Hand
from inhand.hardware.model.universe import Numbers, Universe
from inhand.hardware.records import Array
from inhand.perception.objects import ObjectDescription


def varied_hand(hand: Hand, universe: Universe) -> Hand:
    """The hand of a universe: masses, damping, friction, limits, gains and torque limits.

    The rotor's inertia is not part of a link's mass and does not change.
    """
    mass = _values(universe.link_mass, hand.n_joints, 1.0)
    damping = _values(universe.joint_damping, hand.n_joints, 1.0)
    friction = _values(universe.joint_friction, hand.n_joints, 0.0)
    offset = _values(universe.limit_offset, 2 * hand.n_joints, 0.0).reshape(-1, 2)
    gain = _values(universe.actuator_gain, hand.n_actuators, 1.0)
    torque = _values(universe.torque_limit, hand.n_actuators, 1.0)
    return replace(
        hand,
        links=tuple(
            msgspec.structs.replace(
                link,
                mass=float(link.mass * mass[i]),
                damping=float(link.damping * damping[i]),
                friction=float(link.friction + friction[i]),
                range=(float(link.range[0] + offset[i, 0]), float(link.range[1] + offset[i, 1])),
            )
            for i, link in enumerate(hand.links)
        ),
        actuators=tuple(
            msgspec.structs.replace(
                actuator,
                gain=float(actuator.gain * gain[i]),
                torque_limit=float(actuator.torque_limit * torque[i]),
            )
            for i, actuator in enumerate(hand.actuators)
        ),
    )


def varied_object(target: ObjectDescription, universe: Universe) -> ObjectDescription:
    """The object of a universe: its extents, mass and friction (the tags stay where they are)."""
    length, width, height = target.size
    factor = universe.object_size
    return replace(
        target,
        size=(factor * length, factor * width, factor * height),
        mass=target.mass * universe.object_mass,
        friction=target.friction * universe.friction,
    )


def _values(given: Numbers, size: int, nominal: float) -> Array:
    """An empty tuple stands for nominal values."""
    return np.array(given) if given else np.full(size, nominal)
