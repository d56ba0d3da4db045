"""Where a hand carries the object that it holds, by what the encoders say since it was last seen.

The palm carries what rests on it; links that touch the object drag it along where they touch.
Of all motions of a rigid body, the one is taken that follows the surfaces in contact best, and
the palm where nothing else is near. An estimate: contacts slip. What is left is for the filter's
random motion.
"""

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inhand.hardware.model.hand import Hand
from inhand.hardware.model.kinematics import link_poses
from inhand.hardware.records import Array, JointState
from inhand.perception import rotations
from inhand.perception.objects import ObjectDescription

HISTORY = 1.0
"""How long joint readings are kept [s]: longer than the filter's window."""

REACH = 0.006
"""A surface further than this from the object's does not touch it [m]."""

SOFTNESS = 0.003
"""Gap at which a contact counts for 1/e [m]: what poses, shapes and encoders may be off."""

STIFFNESS = 0.05
"""Of the palm, in contacts: what decides where no contact does."""

LEVER = 0.03
"""Length at which a turn counts as much as a shift [m]: half an object."""


@dataclass(frozen=True)
class Grip:
    """How an object follows the servos from one instant on.

    Attributes:
        joints: servo angles at that instant [rad], (n_actuators,).
        response: shift [m] and world turn [rad] of the object by each servo's motion,
            (6, n_actuators).
    """

    joints: Array
    response: Array


class HandMotion:
    """Joint readings of the last second, and what they do to an object.

    Args:
        hand: whose readings they are.
        description: the object.
    """

    def __init__(self, hand: Hand, description: ObjectDescription) -> None:
        self._hand = hand
        self._points, self._radii, self._links = surface(hand)
        self._above = hand.moved_by
        self._axes = np.array([np.array(x.axis) / np.linalg.norm(x.axis) for x in hand.links])
        self._driven = np.eye(hand.n_actuators)[list(hand.actuator_of_joint)]
        self._carrying = _palm_joints(hand)
        self._normals = np.array(list(description.faces.values()))
        self._offsets = (description.vertices @ self._normals.T).max(axis=0)
        self._times: list[float] = []
        self._readings: list[Array] = []

    def note(self, joints: JointState) -> None:
        """Takes a reading; one that is not newer than the last is passed over."""
        if self._times and joints.t <= self._times[-1]:
            return
        self._times.append(joints.t)
        self._readings.append(joints.position)
        old = bisect_right(self._times, joints.t - HISTORY)
        # Now and then is enough.
        if old > 100:
            del self._times[:old], self._readings[:old]

    def covers(self, t: float) -> bool:
        """Whether there was a reading before and one after an instant [s]."""
        return bool(self._times) and self._times[0] <= t < self._times[-1]

    def joints(self, t: float) -> Array:
        """Servo angles at an instant [rad], (n_actuators,), between readings in a straight line."""
        after = bisect_right(self._times, t)
        if after == 0 or after == len(self._times):
            return self._readings[-1 if after else 0]
        share = (t - self._times[after - 1]) / (self._times[after] - self._times[after - 1])
        before = self._readings[after - 1]
        return before + share * (self._readings[after] - before)

    def speeds(self, t: float) -> Array:
        """Servo speeds of late [rad/s], (n_actuators,); zero if the readings are old."""
        if len(self._times) < 2 or t - self._times[-1] > 0.05:
            return np.zeros(self._hand.n_actuators)
        last = max(0, bisect_right(self._times, self._times[-1] - 0.02) - 1)
        return (self._readings[-1] - self._readings[last]) / (self._times[-1] - self._times[last])

    def grip(self, t: float, position: Array, quaternion: Array) -> Grip:
        """How an object follows the hand.

        Args:
            t: when [s]; `covers` it.
            position: of the object, world frame [m], (3,).
            quaternion: world from object, wxyz, (4,).
        """
        joints = self.joints(t)
        turns, origins = link_poses(self._hand, self._hand.joint_angles(joints))
        axes = np.einsum("lij,lj->li", turns, self._axes)
        points = np.einsum("nij,nj->ni", turns[self._links], self._points) + origins[self._links]
        local = (points - position) @ rotations.to_matrix(quaternion)
        gap = (local @ self._normals.T - self._offsets).max(axis=1) - self._radii
        near = np.flatnonzero(gap < REACH)
        # Of the object as part of the palm: a turn about each joint between palm and base.
        response = np.zeros((6, self._hand.n_joints))
        response[:3] = (rotations.cross(axes, position - origins) * self._carrying[:, None]).T
        response[3:] = (axes * self._carrying[:, None]).T
        if len(near):
            arms = points[near] - position
            moved = rotations.cross(axes, points[near, None] - origins)
            moved *= self._above[self._links[near], :, None]
            body = np.zeros((len(near), 3, 6))
            body[:, 0, 0] = body[:, 1, 1] = body[:, 2, 2] = 1.0
            body[:, 0, 4], body[:, 1, 5], body[:, 2, 3] = arms[:, 2], arms[:, 0], arms[:, 1]
            body[:, 0, 5], body[:, 1, 3], body[:, 2, 4] = -arms[:, 1], -arms[:, 2], -arms[:, 0]
            weight = np.exp(-((np.maximum(gap[near], 0.0) / SOFTNESS) ** 2))
            weighted = (body * weight[:, None, None]).reshape(-1, 6).T
            flat = body.reshape(-1, 6)
            palm = np.diag(np.repeat([STIFFNESS, STIFFNESS * LEVER**2], 3))
            against = moved.transpose(0, 2, 1).reshape(-1, self._hand.n_joints) - flat @ response
            response = response + np.linalg.solve(weighted @ flat + palm, weighted @ against)
        return Grip(joints, response @ self._driven)


def palm(hand: Hand) -> int | None:
    """The link that all fingertips have in common, furthest from the base; None if it is the base.

    A link moves with its joint: links and joints are numbered alike.
    """
    shared = np.flatnonzero(_palm_joints(hand))
    return int(shared[-1]) if len(shared) else None


def surface(hand: Hand) -> tuple[Array, Array, NDArray[np.intp]]:
    """Points inside of the links' shapes, how far the surface is from them, and whose they are.

    Returns:
        points: link frame [m], (n, 3).
        radii: [m], (n,).
        links: (n,).
    """
    points, radii, links = [], [], []
    for i, link in enumerate(hand.links):
        for shape in link.shapes:
            if shape.kind == "capsule":
                radius, half = shape.size
                inside = np.linspace(-half, half, 5)[:, None] * [0.0, 0.0, 1.0]
            else:
                # A board: a grid over its two long edges, as thick as the short one.
                extents = np.array(shape.size)
                radius, thin = float(extents.min()), int(extents.argmin())
                wide = [axis for axis in range(3) if axis != thin]
                inside = np.zeros((9, 9, 3))
                grid = np.linspace(-1.0, 1.0, 9)
                inside[..., wide[0]] = grid[:, None] * extents[wide[0]]
                inside[..., wide[1]] = grid * extents[wide[1]]
                inside = inside.reshape(-1, 3)
            points.append(inside + np.array(shape.position))
            radii.append(np.full(len(inside), radius))
            links.append(np.full(len(inside), i))
    return np.concatenate(points), np.concatenate(radii), np.concatenate(links)


def _palm_joints(hand: Hand) -> NDArray[np.bool_]:
    """The joints that move the palm, (n_joints,): those that all fingertips have in common."""
    shared: NDArray[np.bool_] = np.logical_and.reduce(hand.moved_by[list(hand.fingertips)])
    return shared
