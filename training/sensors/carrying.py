"""How the hands of a batch move their objects between two readings of the joints.

The same least-squares motion as in `inhand.controller.estimation.hand_motion`, of all worlds at
once. Since the motion of the joints is known, only the velocity of each touching point is needed,
and not its derivative by every joint.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inhand.controller.estimation.hand_motion import (
    FADE,
    LEVER,
    REACH,
    SOFTNESS,
    STIFFNESS,
    surface,
)
from inhand.hardware.model.hand import Hand
from inhand.hardware.model.kinematics import link_poses
from inhand.hardware.records import Array
from inhand.perception import rotations
from inhand.perception.objects import ObjectDescription


@dataclass(frozen=True)
class Shape:
    """One link's surface as spheres, and a sphere around them all; link frame [m]."""

    link: int
    points: Array
    radii: Array
    centre: Array
    bound: float

    @classmethod
    def of(cls, link: int, points: Array, radii: Array) -> "Shape":
        centre = 0.5 * (points.min(axis=0) + points.max(axis=0))
        bound = float((np.linalg.norm(points - centre, axis=-1) + radii).max())
        return cls(link, points, radii, centre, bound)


class Carrying:
    """Shapes of hand and object.

    Args:
        hand: the hand.
        target: the object.

    Attributes:
        shapes: of the links that have a surface.
        reach: distance from the object's centre beyond which no shape matters [m].
        axes: of the joints, link frames, (n_links, 3).
        moved_by: 1 where a joint, a column, moves a link, a row.
        palm: joints that move all fingers, (n_links,).
        normals: of the object's faces, (faces, 3); `offsets`: their distances from its centre [m].
    """

    def __init__(self, hand: Hand, target: ObjectDescription) -> None:
        self._hand = hand
        points, radii, links = surface(hand)
        self.shapes = [
            Shape.of(number, points[links == number], radii[links == number])
            for number in np.unique(links).tolist()
        ]
        self.reach = float(np.linalg.norm(target.vertices, axis=-1).max()) + REACH + 3.0 * FADE
        self.axes = np.array([np.array(x.axis) / np.linalg.norm(x.axis) for x in hand.links])
        self.moved_by = hand.moved_by.astype(np.float64)
        self.palm: NDArray[np.bool_] = np.logical_and.reduce(hand.moved_by[list(hand.fingertips)])
        self.normals = np.array(list(target.faces.values()))
        self.offsets = (target.vertices @ self.normals.T).max(axis=0)

    def motion(self, before: Array, after: Array, position: Array, quaternion: Array) -> Array:
        """Shift [m] and world rotation [rad] of the objects, (n, 6).

        Args:
            before: servo angles [rad], (n, n_actuators).
            after: the same a policy step later.
            position: of the objects at first, world frame [m], (n, 3).
            quaternion: of the objects at first, world from object, (n, 4) wxyz.
        """
        hand = self._hand
        angles = hand.joint_angles(before)
        turned = hand.joint_angles(after) - angles
        turns, origins = link_poses(hand, angles)
        # Twist that each joint adds: rotation, and the shift of the world's origin.
        spin = np.einsum("nlij,lj->nli", turns, self.axes) * turned[..., None]
        shift = -rotations.cross(spin, origins)
        palm = np.concatenate(
            [
                shift[:, self.palm].sum(1) + rotations.cross(spin[:, self.palm].sum(1), position),
                spin[:, self.palm].sum(1),
            ],
            axis=-1,
        )
        worlds, links, points, weight, gap = self._contacts(turns, origins, position, quaternion)
        palm *= np.exp(-((np.maximum(gap - REACH, 0.0) / FADE) ** 2))[:, None]
        if not len(worlds):
            return palm
        # Velocities of the touching points, less what the palm's motion gives them.
        spin = (self.moved_by @ spin)[worlds, links]
        shift = (self.moved_by @ shift)[worlds, links]
        arms = points - position[worlds]
        against = shift + rotations.cross(spin, points) - palm[worlds, :3]
        against -= rotations.cross(palm[worlds, 3:], arms)
        body = np.zeros((len(worlds), 3, 6))
        body[:, 0, 0] = body[:, 1, 1] = body[:, 2, 2] = 1.0
        body[:, 0, 4], body[:, 1, 5], body[:, 2, 3] = arms[:, 2], arms[:, 0], arms[:, 1]
        body[:, 0, 5], body[:, 1, 3], body[:, 2, 4] = -arms[:, 1], -arms[:, 2], -arms[:, 0]
        weighted = (body * weight[:, None, None]).transpose(0, 2, 1)
        # Points come in the order of their worlds: the sums over each world are between its ends.
        touched, starts = np.unique(worlds, return_index=True)
        normal = np.add.reduceat(weighted @ body, starts)
        right = np.add.reduceat(np.einsum("kij,kj->ki", weighted, against), starts)
        normal += np.diag(np.repeat([STIFFNESS, STIFFNESS * LEVER**2], 3))
        palm[touched] += np.linalg.solve(normal, right[..., None])[..., 0]
        return palm

    def _contacts(
        self, turns: Array, origins: Array, position: Array, quaternion: Array
    ) -> tuple[NDArray[np.intp], NDArray[np.intp], Array, Array, Array]:
        """Points of the hands' surfaces that may touch: world, link, place [m] and weight.

        They are sorted by their worlds. The last array is each world's smallest gap [m], (n,);
        infinite where it does not matter.
        """
        frames = rotations.to_matrix(quaternion)
        smallest = np.full(len(position), np.inf)
        found = []
        for shape in self.shapes:
            turn, origin = turns[:, shape.link], origins[:, shape.link]
            away = origin + turn @ shape.centre - position
            ids = np.flatnonzero(
                np.einsum("ni,ni->n", away, away) < (shape.bound + self.reach) ** 2
            )
            # In the object's frame, faces before points: numpy's maximum over the first is faster.
            inverse = frames[ids].transpose(0, 2, 1)
            into = inverse @ turn[ids]
            shift = inverse @ (origin[ids] - position[ids])[..., None]
            local = into @ shape.points.T + shift
            gap = (self.normals @ local - self.offsets[:, None]).max(axis=1) - shape.radii
            smallest[ids] = np.minimum(smallest[ids], gap.min(axis=1))
            rows, near = np.nonzero(gap < REACH)
            touching = ids[rows]
            places = np.einsum("kij,kj->ki", turn[touching], shape.points[near])
            link = np.full(len(rows), shape.link)
            found.append((touching, link, places + origin[touching], gap[rows, near]))
        worlds, links, points, gaps = (np.concatenate(parts) for parts in zip(*found, strict=True))
        order = np.argsort(worlds, kind="stable")
        weight = np.exp(-((np.maximum(gaps[order], 0.0) / SOFTNESS) ** 2))
        return worlds[order], links[order], points[order], weight, smallest
