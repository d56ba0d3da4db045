"""Net of an object: its faces, unfolded into one plane, with fold lines and tabs for glue.

The sides stand in a row, the ends are above and below one of them. A face is seen from outside. So
paper that is folded backwards along all lines, and glued by its tabs, has the object's shape.
"""

from dataclasses import dataclass

import numpy as np

from inhand.perception.objects import ObjectDescription
from inhand.perception.printing.page import MILLIMETRES
from inhand.perception.rotations import Array

TAB = 6.0
"""Largest height of a tab [mm]."""

SAME = 1e-6
"""Distance below which two corners of a net are one [mm]."""


@dataclass(frozen=True)
class Face:
    """A face in the net.

    Attributes:
        name: as in the object file.
        normal: outwards, object frame, (3,).
        anchor: a point of the face, object frame [m], (3,).
        axes: the net's right and up, object frame, (2, 3).
        place: where the anchor lies in the net [mm], (2,).
        outline: corners in the net [mm], counter-clockwise, (n, 2).
    """

    name: str
    normal: Array
    anchor: Array
    axes: Array
    place: Array
    outline: Array

    def flat(self, points: Array) -> Array:
        """Where points of the face lie in the net [mm], (n, 2).

        Args:
            points: object frame [m], (n, 3).
        """
        result: Array = self.place + MILLIMETRES * (points - self.anchor) @ self.axes.T
        return result


@dataclass(frozen=True)
class Net:
    """An unfolded object.

    Attributes:
        faces: all of them.
        folds: ends of each fold line [mm], (k, 2, 2).
        cuts: ends of each piece of the outline [mm], (m, 2, 2).
    """

    faces: tuple[Face, ...]
    folds: Array
    cuts: Array


def net(description: ObjectDescription) -> Net:
    """Unfolds an object. The net's lower left corner is at (0, 0)."""
    half = description.half_extents
    up = np.array([0.0, 0.0, 1.0])
    sides = [(name, n) for name, n in description.faces.items() if abs(n[2]) < 0.5]
    # To the right, as seen from outside, follows the side that is next counter-clockwise.
    sides.sort(key=lambda one: float(np.arctan2(one[1][1], one[1][0])) % (2 * np.pi))
    middle = (len(sides) - 1) // 2
    faces, left = [], 0.0
    for name, normal in sides:
        right = np.cross(up, normal)
        reach = float(np.abs(description.vertices @ right).max())
        if description.shape == "prism":
            reach = float(half[0] * np.tan(np.pi / description.sides))
        distance = float((description.vertices @ normal).max())
        anchor = distance * normal - reach * right - half[2] * up
        width, height = 2 * MILLIMETRES * reach, 2 * MILLIMETRES * float(half[2])
        corners = np.array([[0.0, 0.0], [width, 0.0], [width, height], [0.0, height]])
        place = np.array([left, 0.0])
        faces.append(Face(name, normal, anchor, np.stack([right, up]), place, corners + place))
        left += width
    base = faces[middle]
    ends = [
        (name, normal, 1.0 if normal[2] > 0 else 0.0)
        for name, normal in description.faces.items()
        if abs(normal[2]) > 0.5
    ]
    for name, normal, top in ends:
        # An end's up is away from its side above it, and towards its side below it.
        axes = np.stack([base.axes[0], -base.normal if top else base.normal])
        anchor = base.anchor + 2 * top * half[2] * up
        place = base.outline[3] if top else base.outline[0]
        rim = np.array([side.anchor + 2 * top * half[2] * up for side in faces[: len(sides)]])
        end = Face(name, normal, anchor, axes, place, np.empty((0, 2)))
        outline = end.flat(rim if top else rim[::-1])
        faces.append(Face(name, normal, anchor, axes, place, outline))
    return _joined(tuple(faces), len(sides), middle)


def _joined(faces: tuple[Face, ...], sides: int, middle: int) -> Net:
    """The net of these faces with tabs: at the ends of all sides but one, and beside the last."""
    lean = float(np.tan(min(np.pi / 4, np.pi / sides)))
    tabs = [_tab(*faces[sides - 1].outline[[2, 1]])]
    for k, side in enumerate(faces[:sides]):
        if k != middle:
            # A tab beside an end leaves room for it.
            left, right = (lean if k == middle + step else 1.0 for step in (1, -1))
            lower_left, lower_right, upper_right, upper_left = side.outline
            tabs.append(_tab(upper_left, upper_right, left, right))
            tabs.append(_tab(lower_right, lower_left, right, left))
    outlines = [face.outline for face in faces] + tabs
    edges = np.concatenate([np.stack([o, np.roll(o, -1, axis=0)], axis=1) for o in outlines])
    shared = np.array(
        [bool((np.abs(edges[:, ::-1] - edge).max(axis=(1, 2)) < SAME).any()) for edge in edges]
    )
    first_of_pair = [
        not (np.abs(edges[:i, ::-1] - edge).max(axis=(1, 2)) < SAME).any()
        for i, edge in enumerate(edges)
    ]
    lowest = edges.min(axis=(0, 1))
    moved = tuple(
        Face(f.name, f.normal, f.anchor, f.axes, f.place - lowest, f.outline - lowest)
        for f in faces
    )
    folds = edges[shared & np.array(first_of_pair)]
    return Net(moved, folds - lowest, edges[~shared] - lowest)


def _tab(start: Array, end: Array, first: float = 1.0, last: float = 1.0) -> Array:
    """A tab to the left of the way from `start` to `end` [mm], (4, 2).

    Args:
        start: of the fold line.
        end: of the fold line.
        first: slope of the tab's edge at the start, height over width.
        last: slope of the tab's edge at the end.
    """
    length = float(np.linalg.norm(end - start))
    along = (end - start) / length
    outward = np.array([-along[1], along[0]])
    height = min(TAB, 0.7 * length / (1 / first + 1 / last))
    tip = end + height * (outward - along / last)
    return np.stack([start, end, tip, start + height * (outward + along / first)])
