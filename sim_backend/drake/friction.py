"""Coulomb friction of joints, which Drake does not have: springs that slip at a limit torque."""

import numpy as np
from numpy.typing import NDArray

from inhand.hardware.model.hand import Hand
from inhand.hardware.model.hand_description import Link
from inhand.hardware.model.solids import link_inertial
from inhand.hardware.model.universe import Universe
from inhand.hardware.records import Array
from inhand.sim_backend.stiction import STICK_SPEED

SHARE = 0.1
"""Stiffness over the value inertia / timestep², so that the explicit step is stable."""


class JointFriction:
    """A spring at each joint, which slips at the friction torque.

    Unlike regularised (viscous) friction, it does not creep. At rest, a joint with friction F moves
    by F over the stiffness: some tenths of a milliradian.

    Args:
        hand: of the universe.
        universe: its `stiction` is used.
        timestep: of the physics [s].
    """

    def __init__(self, hand: Hand, universe: Universe, timestep: float) -> None:
        n = hand.n_joints
        inertia = np.array([_inertia(link) for link in hand.links])
        self._stiffness = np.maximum(SHARE * inertia / timestep**2, 1e-9)
        # Half of critical damping, so that a held joint comes to rest.
        self._damping = np.sqrt(self._stiffness * inertia)
        self._moving = np.array([link.friction for link in hand.links])
        self._more = np.array(universe.stiction) if universe.stiction else np.zeros(n)
        self._held = np.zeros(n)
        self._stuck: NDArray[np.bool_] = np.ones(n, dtype=np.bool_)

    def reset(self, angles: Array) -> None:
        """Sets the springs to zero torque at these angles [rad], (n_joints,)."""
        self._held, self._stuck = angles.copy(), np.ones(len(angles), dtype=np.bool_)

    def torque(self, angles: Array, speeds: Array) -> Array:
        """Friction torque [N·m], (n_joints,), at these angles [rad] and speeds [rad/s]."""
        # A joint that sticks moves a little with its spring: it sticks until the spring slips.
        self._stuck |= np.abs(speeds) < STICK_SPEED
        spring = self._stiffness * (self._held - angles)
        self._stuck &= np.abs(spring) <= self._moving + self._more
        limit = self._moving + np.where(self._stuck, self._more, 0.0)
        torque: Array = np.clip(spring - self._damping * speeds, -limit, limit)
        # A spring that slips keeps the stretch of its limit.
        most = limit / self._stiffness
        self._held = np.clip(self._held, angles - most, angles + most)
        return torque


def _inertia(link: Link) -> float:
    """Smallest inertia that the joint of a link can have [kg·m²]."""
    rotor = link.rotor_inertia + link.armature
    if rotor:
        return rotor
    _, inertia = link_inertial(link)
    axis = np.array(link.axis) / np.linalg.norm(link.axis)
    return float(axis @ inertia @ axis)
