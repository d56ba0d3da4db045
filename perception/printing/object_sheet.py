"""An object to print: its net with tags, or its faces one by one."""

from collections.abc import Iterator

import numpy as np

from inhand.perception.errors import ObjectError
from inhand.perception.objects import ObjectDescription, Tag
from inhand.perception.printing.net import Face, Net, net
from inhand.perception.printing.page import (
    MILLIMETRES,
    Line,
    Page,
    Paper,
    Shape,
    Words,
    centre,
    oriented,
)
from inhand.perception.printing.tag_sheet import Piece, packed, tag_area
from inhand.perception.rotations import Array
from inhand.perception.tags import MODULES

LABEL = 2.0
"""Largest height of the text on a face [mm]."""


CHARACTER = 0.75
"""Mean width of a character of Helvetica, relative to the height of its capitals."""


def object_pages(description: ObjectDescription, paper: Paper) -> list[Page]:
    """The net of an object on one page, or its faces one by one if the net does not fit.

    Args:
        description: the object.
        paper: to print on.

    Raises:
        ObjectError: a tag is not within a face.
        PerceptionError: a face is larger than the paper.
    """
    unfolded = net(description)
    carried = {face.name: list(_tags_on(description, face)) for face in unfolded.faces}
    if lost := {tag.id for tag in description.tags} - {t.id for ts in carried.values() for t in ts}:
        raise ObjectError(
            f"object {description.name}: tags {sorted(lost)} reach over the edges of their faces; "
            "correct `size` or `offset` in the object file"
        )
    extents = " × ".join(f"{MILLIMETRES * extent:g}" for extent in description.size)
    what = f"inhand: {description.name}, {extents} mm, AprilTag 36h11."
    width, height = (float(extent) for extent in unfolded.cuts.max(axis=(0, 1)))
    size = oriented(paper, width, height)
    if size is None:
        pieces = [_piece(face, carried[face.name]) for face in unfolded.faces]
        return packed(pieces, paper, f"{what} Cut the faces out and glue each onto the object.")
    page = Page(size)
    place = centre(size, width, height)
    page.shapes.extend(shape.moved(place) for shape in _net_shapes(unfolded, carried))
    page.add_footer(
        f"{what} Cut along solid lines, fold back along dashed lines, glue the tabs.",
        "The line at the foot of a face has its name, the id of its tag, and the edge of the "
        "tag's black square.",
    )
    return [page]


def _net_shapes(unfolded: Net, carried: dict[str, list[Tag]]) -> Iterator[Shape]:
    for face in unfolded.faces:
        yield from _face_shapes(face, carried[face.name])
    yield from (Line(edge, fold=True) for edge in unfolded.folds)
    yield from (Line(edge) for edge in unfolded.cuts)


def _piece(face: Face, tags: list[Tag]) -> Piece:
    """A face alone."""
    corner = face.outline.min(axis=0)
    shapes = [*_face_shapes(face, tags), Line(np.concatenate([face.outline, face.outline[:1]]))]
    extent: Array = face.outline.max(axis=0) - corner
    return face.name, extent, [shape.moved(-corner) for shape in shapes]


def _face_shapes(face: Face, tags: list[Tag]) -> Iterator[Shape]:
    """The tags of a face, and the text at its foot where that leaves the tags' edges white."""
    foot = float(face.outline[:, 1].min())
    free = [float(face.outline[:, 1].max()) - foot]
    for tag in tags:
        corners = face.flat(tag.corners)
        yield tag_area(tag.id, corners)
        free.append(float(corners[:, 1].min()) - foot - MILLIMETRES * tag.size / MODULES)
    names = ", ".join(f"tag {tag.id}: {MILLIMETRES * tag.size:g} mm" for tag in tags)
    text = f"{face.name}  {names}".rstrip()
    width = float(np.ptp(face.outline[:, 0]))
    height = min(LABEL, min(free) - 0.8, 0.9 * width / (CHARACTER * len(text)))
    if height >= 0.8:
        middle = float(face.outline[:, 0].mean())
        yield Words(np.array([middle, foot + 0.6]), text, height, centred=True)


def _tags_on(description: ObjectDescription, face: Face) -> Iterator[Tag]:
    """The tags that are within a face."""
    for tag in description.tags:
        if tag.rotation[:, 2] @ face.normal < 0.99:
            continue
        edges = np.roll(face.outline, -1, axis=0) - face.outline
        arms = face.flat(tag.corners)[:, None] - face.outline
        # Counter-clockwise: what is inside lies to the left of every edge.
        inside = edges[:, 0] * arms[..., 1] - edges[:, 1] * arms[..., 0]
        if (inside > -1e-6).all():
            yield tag
