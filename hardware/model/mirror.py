"""A hand of the other side: the mirror image of a hand description."""

from typing import TypeVar

import msgspec
import numpy as np

from inhand.hardware.model.hand_description import (
    Drawing,
    FixedLink,
    HandDescription,
    Inertia,
    Link,
    Shape,
    Vector,
)
from inhand.hardware.model.turning import matrix_rpy, rpy_matrix

_SIGNS = np.array([1.0, -1.0, 1.0])
"""Mirrors y. Any plane gives the same hand, up to how its base stands."""

Placed = TypeVar("Placed", Shape, Drawing)
Part = TypeVar("Part", Link, FixedLink)


def mirrored(data: HandDescription, name: str) -> HandDescription:
    """The mirror image of a hand, about the plane y = 0 of its root.

    Every frame is mirrored and its y axis turned round, so that it stays right-handed. An axis of
    rotation is mirrored with the opposite sign, so that joints keep their angles and ranges: the
    same angles give the mirrored pose. Drawings cannot be mirrored, and are left out.

    Args:
        data: a description without problems.
        name: of the new hand.
    """
    workspace = msgspec.structs.replace(
        data.workspace,
        object_start=_point(data.workspace.object_start),
        center=_point(data.workspace.center),
    )
    links = tuple(
        msgspec.structs.replace(
            _part(link), axis=tuple((-_SIGNS * np.array(link.axis) + 0.0).tolist())
        )
        for link in data.links
    )
    return msgspec.structs.replace(
        data,
        name=name,
        workspace=workspace,
        links=links,
        fixed_links=tuple(_part(link) for link in data.fixed_links),
    )


def _part(part: Part) -> Part:
    return msgspec.structs.replace(
        part,
        origin=_point(part.origin),
        rpy=_turn(part.rpy),
        tip=None if part.tip is None else _point(part.tip),
        center=None if part.center is None else _point(part.center),
        inertia=None if part.inertia is None else _tensor(part.inertia),
        shapes=tuple(
            msgspec.structs.replace(shape, position=_point(shape.position), rpy=_turn(shape.rpy))
            for shape in part.shapes
        ),
        drawings=(),
    )


def _point(place: Vector) -> Vector:
    x, y, z = (_SIGNS * np.array(place) + 0.0).tolist()
    return x, y, z


def _turn(rpy: Vector) -> Vector:
    """The primitives are their own mirror images, so that their turn is mirrored like a frame."""
    if not any(rpy):
        return rpy
    return matrix_rpy(_SIGNS[:, None] * rpy_matrix(rpy) * _SIGNS)


def _tensor(inertia: Inertia) -> Inertia:
    xx, yy, zz, xy, xz, yz = inertia
    return xx, yy, zz, 0.0 - xy, xz, 0.0 - yz
