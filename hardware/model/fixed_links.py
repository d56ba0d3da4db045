"""Fixed links become parts of the links that carry them, so that every link has a joint."""

from dataclasses import dataclass
from typing import TypeVar

import msgspec
import numpy as np

from inhand.hardware.model.hand_description import (
    Drawing,
    FixedLink,
    HandDescription,
    Link,
    Shape,
    Vector,
)
from inhand.hardware.model.solids import inertia_values, joined, solid_inertial
from inhand.hardware.model.turning import matrix_rpy, rpy_matrix
from inhand.hardware.records import Array

Placed = TypeVar("Placed", Shape, Drawing)


@dataclass(frozen=True)
class Parts:
    """The links of a hand without fixed ones.

    Attributes:
        links: with joints; each has the mass, the shapes and the fingertip of what is fixed to it.
        root_shapes: shapes that never move, in the root's frame.
        root_drawings: drawings that never move, in the root's frame.
        collision_groups: with the links that carry fixed ones in their place.
    """

    links: tuple[Link, ...]
    root_shapes: tuple[Shape, ...]
    root_drawings: tuple[Drawing, ...]
    collision_groups: dict[str, tuple[str, ...]]


def without_fixed_links(data: HandDescription) -> Parts:
    """Joins every fixed link with what carries it; the description has no problems."""
    places = {link.name: (link.name, np.eye(3), np.zeros(3)) for link in data.links}
    places[data.root] = (data.root, np.eye(3), np.zeros(3))
    waiting = list(data.fixed_links)
    while waiting:
        part = waiting.pop(0)
        if part.parent not in places:
            waiting.append(part)
            continue
        carrier, turn, origin = places[part.parent]
        own = origin + turn @ np.array(part.origin)
        places[part.name] = (carrier, turn @ rpy_matrix(part.rpy), own)
    fixed: dict[str, list[FixedLink]] = {}
    for part in data.fixed_links:
        fixed.setdefault(places[part.name][0], []).append(_moved(part, *places[part.name][1:]))
    links = tuple(
        _with_parts(_hung(link, *places[link.parent]), fixed.get(link.name, []))
        for link in data.links
    )
    groups = {
        group: tuple(dict.fromkeys(places[name][0] for name in names))
        for group, names in data.collision_groups.items()
    }
    shapes = tuple(shape for part in fixed.get(data.root, []) for shape in part.shapes)
    drawings = tuple(one for part in fixed.get(data.root, []) for one in part.drawings)
    return Parts(links, shapes, drawings, groups)


def _hung(link: Link, carrier: str, turn: Array, origin: Array) -> Link:
    """A link with its place given in the frame of the link that carries its parent."""
    if carrier == link.parent:
        return link
    return msgspec.structs.replace(
        link,
        parent=carrier,
        origin=_vector(origin + turn @ np.array(link.origin)),
        rpy=matrix_rpy(turn @ rpy_matrix(link.rpy)),
    )


def _moved(part: FixedLink, turn: Array, origin: Array) -> FixedLink:
    """A fixed link in the frame of its carrier, with a centre of mass and inertia."""
    center, inertia = solid_inertial(part)
    return msgspec.structs.replace(
        part,
        tip=None if part.tip is None else _vector(origin + turn @ np.array(part.tip)),
        shapes=tuple(_placed(shape, turn, origin) for shape in part.shapes),
        drawings=tuple(_placed(drawing, turn, origin) for drawing in part.drawings),
        center=_vector(origin + turn @ center),
        inertia=inertia_values(turn @ inertia @ turn.T),
    )


def _placed(part: Placed, turn: Array, origin: Array) -> Placed:
    """A shape or drawing of a link in the frame of its carrier."""
    return msgspec.structs.replace(
        part,
        position=_vector(origin + turn @ np.array(part.position)),
        rpy=matrix_rpy(turn @ rpy_matrix(part.rpy)),
    )


def _with_parts(link: Link, parts: list[FixedLink]) -> Link:
    """A link joined with fixed links that are given in its frame."""
    if not parts:
        return link
    every: list[Link | FixedLink] = [link, *parts]
    mass, center, inertia = joined([(part.mass, *solid_inertial(part)) for part in every])
    tips = [part.tip for part in every if part.tip is not None]
    return msgspec.structs.replace(
        link,
        mass=mass,
        center=_vector(center),
        inertia=inertia_values(inertia),
        shapes=(*link.shapes, *(shape for part in parts for shape in part.shapes)),
        drawings=(*link.drawings, *(one for part in parts for one in part.drawings)),
        tip=tips[0] if tips else None,
    )


def _vector(values: Array) -> Vector:
    x, y, z = values.tolist()
    return x, y, z
