"""Predicts how the hand moves the object that it holds, from joint readings.

The palm carries the object; links that touch it drag it at the contacts. The result is the rigid
motion that follows the touching surfaces best in the least-squares sense, and that of the palm
where nothing else is near. The palm's share fades with the gap between object and hand. Contacts
slip, so this is an estimate; the random motion of the filter covers the rest.
"""

from bisect import bisect_right
from dataclasses import dataclass
from functools import cache
from math import exp

import numpy as np
from numpy.typing import NDArray

from inhand.hardware.model.hand import Hand
from inhand.hardware.model.kinematics import link_poses
from inhand.hardware.model.turning import rpy_matrix
from inhand.hardware.records import Array, JointState
from inhand.perception import rotations
from inhand.perception.objects import ObjectDescription

HISTORY = 1.0
"""How long joint readings are kept [s]: longer than the filter's window."""

REACH = 0.006
"""Largest gap to the object at which a surface can count as a contact [m]."""

FADE = 0.01
"""Distance beyond `REACH` at which the palm carries the object by 1/e [m]: an object that touches
nothing is not carried, and the gap is known to a few millimetres."""

SOFTNESS = 0.003
"""Gap at which a contact's weight is 1/e [m]: the error of poses, shapes and encoders."""

STIFFNESS = 0.05
"""Weight of the palm's motion, in contacts; it decides where there is no contact."""

LEVER = 0.03
"""Length that converts rotation to translation in the weight [m]: half an object."""


_PALM = np.diag(np.repeat([STIFFNESS, STIFFNESS * LEVER**2], 3))
"""Weight of the palm's motion, shift and rotation, (6, 6)."""


@dataclass(frozen=True)
class Grip:
    """Linear response of the object to servo motion from one instant on.

    Attributes:
        joints: servo angles at that instant [rad], (n_actuators,).
        response: derivative of the object's shift [m] and world rotation [rad] by the servo angles,
            (6, n_actuators).
    """

    joints: Array
    response: Array


class HandMotion:
    """Joint readings of the last second, and the object's response to them.

    Args:
        hand: whose readings they are.
        description: the object.
    """

    def __init__(self, hand: Hand, description: ObjectDescription) -> None:
        self._hand = hand
        self._points, self._radii, self._links = surface(hand)
        self._above = hand.moved_by
        self._axes = np.array([np.array(x.axis) / np.linalg.norm(x.axis) for x in hand.links])
        self._driven = hand.joint_speeds(np.eye(hand.n_actuators)).T
        self._carrying = _palm_joints(hand)
        self._normals = np.array(list(description.faces.values()))
        self._offsets = (description.vertices @ self._normals.T).max(axis=0)
        self._times: list[float] = []
        self._readings: list[Array] = []

    def note(self, joints: JointState) -> None:
        """Adds a reading; one that is not newer than the last is ignored."""
        if self._times and joints.t <= self._times[-1]:
            return
        self._times.append(joints.t)
        self._readings.append(joints.position)
        old = bisect_right(self._times, joints.t - HISTORY)
        # Deleting many at once is cheaper.
        if old > 100:
            del self._times[:old], self._readings[:old]

    def covers(self, t: float) -> bool:
        """Whether there was a reading before and one after an instant [s]."""
        return bool(self._times) and self._times[0] <= t < self._times[-1]

    def joints(self, t: float) -> Array:
        """Servo angles at an instant [rad], (n_actuators,), interpolated linearly."""
        after = bisect_right(self._times, t)
        if after == 0 or after == len(self._times):
            return self._readings[-1 if after else 0]
        share = (t - self._times[after - 1]) / (self._times[after] - self._times[after - 1])
        before = self._readings[after - 1]
        return before + share * (self._readings[after] - before)

    def speeds(self, t: float) -> Array:
        """Servo velocities over about 20 ms [rad/s], (n_actuators,); zero if readings are old."""
        if len(self._times) < 2 or t - self._times[-1] > 0.05:
            return np.zeros(self._hand.n_actuators)
        last = max(0, bisect_right(self._times, self._times[-1] - 0.02) - 1)
        return (self._readings[-1] - self._readings[last]) / (self._times[-1] - self._times[last])

    def grip(self, t: float, position: Array, quaternion: Array) -> Grip:
        """Computes the object's response to servo motion.

        Args:
            t: when [s]; `covers` it.
            position: of the object, world frame [m], (3,).
            quaternion: world from object, wxyz, (4,).
        """
        joints = self.joints(t)
        turns, origins = link_poses(self._hand, self._hand.joint_angles(joints))
        axes = np.einsum("lij,lj->li", turns, self._axes)
        joint_arms = origins - position
        placed = np.concatenate([turns.transpose(0, 2, 1), joint_arms[:, None]], axis=1)
        arms = _placing(self._hand) @ placed.reshape(-1, 3)
        facing = self._normals @ rotations.to_matrix(quaternion).T
        gap = (facing @ arms.T - self._offsets[:, None]).max(axis=0) - self._radii
        near = np.flatnonzero(gap < REACH)
        # The object moves with the palm: it turns about each joint between palm and base.
        carried = self._carrying[:, None] * _palm_share(float(gap.min()))
        response = np.zeros((6, self._hand.n_joints))
        levers = rotations.cross(axes, joint_arms).T
        response[:3] = -levers * carried.T
        response[3:] = (axes * carried).T
        if len(near):
            arms = arms[near]
            # Velocity of each surface by each joint: axis x (arm - joint's arm), as one product.
            across = np.zeros((3, 3, len(axes)))
            across[1, 2], across[2, 0], across[0, 1] = axes.T
            across -= across.transpose(1, 0, 2)
            moved = (arms @ across.reshape(3, -1)).reshape(-1, 3, len(axes)) - levers
            moved *= self._above[self._links[near], None, :]
            body = np.zeros((len(near), 3, 6))
            body[:, 0, 0] = body[:, 1, 1] = body[:, 2, 2] = 1.0
            body[:, 0, 4], body[:, 1, 5], body[:, 2, 3] = arms[:, 2], arms[:, 0], arms[:, 1]
            body[:, 0, 5], body[:, 1, 3], body[:, 2, 4] = -arms[:, 1], -arms[:, 2], -arms[:, 0]
            weight = np.exp(-((np.maximum(gap[near], 0.0) / SOFTNESS) ** 2))
            weighted = (body * weight[:, None, None]).reshape(-1, 6).T
            flat = body.reshape(-1, 6)
            against = moved.reshape(-1, self._hand.n_joints) - flat @ response
            response = response + np.linalg.solve(weighted @ flat + _PALM, weighted @ against)
        return Grip(joints, response @ self._driven)


@cache
def _placing(hand: Hand) -> Array:
    """Places all points of `surface` by one product with the stacked poses of the links.

    It depends on the hand alone, so it is no part of a checkpoint.

    Returns:
        (n, 4 n_links).
    """
    points, _, links = surface(hand)
    rows = np.arange(len(points))
    placing = np.zeros((len(points), 4 * hand.n_joints))
    placing[rows[:, None], 4 * links[:, None] + np.arange(3)] = points
    placing[rows, 4 * links + 3] = 1.0
    return placing


def _palm_share(gap: float) -> float:
    """Share of the palm's motion that an object takes part in, by its gap to the hand [m]."""
    return exp(-((max(gap - REACH, 0.0) / FADE) ** 2))


def palm(hand: Hand) -> int | None:
    """Index of the last link that carries all fingertips; None if only the base does.

    Links and joints have the same indices.
    """
    shared = np.flatnonzero(_palm_joints(hand))
    return int(shared[-1]) if len(shared) else None


def surface(hand: Hand) -> tuple[Array, Array, NDArray[np.intp]]:
    """The links' shapes as spheres.

    Returns:
        points: centres of the spheres, link frame [m], (n, 3).
        radii: of the spheres [m], (n,).
        links: index of the link of each, (n,).
    """
    points, radii, links = [], [], []
    for i, link in enumerate(hand.links):
        for shape in link.shapes:
            if shape.kind == "sphere":
                radius, inside = shape.size[0], np.zeros((1, 3))
            elif shape.kind != "box":
                radius, half = shape.size
                if shape.kind == "cylinder":
                    half = max(half - radius, 0.0)
                inside = np.linspace(-half, half, 5)[:, None] * [0.0, 0.0, 1.0]
            else:
                # A box as a plate: a grid over its two long sides, as thick as the short one.
                extents = np.array(shape.size)
                radius, thin = float(extents.min()), int(extents.argmin())
                wide = [axis for axis in range(3) if axis != thin]
                inside = np.zeros((9, 9, 3))
                grid = np.linspace(-1.0, 1.0, 9)
                inside[..., wide[0]] = grid[:, None] * extents[wide[0]]
                inside[..., wide[1]] = grid * extents[wide[1]]
                inside = inside.reshape(-1, 3)
            if any(shape.rpy):
                inside = inside @ rpy_matrix(shape.rpy).T
            points.append(inside + np.array(shape.position))
            radii.append(np.full(len(inside), radius))
            links.append(np.full(len(inside), i))
    return np.concatenate(points), np.concatenate(radii), np.concatenate(links)


def _palm_joints(hand: Hand) -> NDArray[np.bool_]:
    """Whether each joint moves all fingertips, (n_joints,)."""
    shared: NDArray[np.bool_] = np.logical_and.reduce(hand.moved_by[list(hand.fingertips)])
    return shared
