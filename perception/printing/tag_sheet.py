"""Single tags to print, and pieces of paper side by side."""

from collections.abc import Sequence

import numpy as np

from inhand.perception.errors import PerceptionError
from inhand.perception.printing.page import (
    FOOTER,
    MARGIN,
    MILLIMETRES,
    Area,
    Line,
    Page,
    Paper,
    Shape,
    Words,
    fitting,
)
from inhand.perception.rotations import Array
from inhand.perception.tags import FAMILY_SIZE, MODULES, Image, tag_image

GAP = 5.0
"""Distance between pieces on a page [mm]."""

Piece = tuple[str, Array, list[Shape]]
"""Name, width and height [mm], and shapes from the lower left corner."""


def tag_pages(ids: Sequence[int], edge: float, paper: Paper) -> list[Page]:
    """Single tags with their white edge, as many as fit on a page.

    Args:
        ids: of the tags.
        edge: outer edge of the black square [m].
        paper: to print on.

    Raises:
        PerceptionError: an id is not in the family, or a tag is larger than the paper.
    """
    if unknown := [tag for tag in ids if not 0 <= tag < FAMILY_SIZE]:
        raise PerceptionError(f"tags {unknown}: the family 36h11 has 0 to {FAMILY_SIZE - 1}")
    if not 0.002 <= edge <= 1.0:
        raise PerceptionError(
            f"--size {edge:g} is not 0.002 to 1 m; a tag of 40 mm has --size 0.04"
        )
    black = MILLIMETRES * edge
    module = black / MODULES
    whole = black + 2 * module
    unit = np.array([[0.0, 1.0], [1.0, 1.0], [1.0, 0.0], [0.0, 0.0]])
    pieces: list[Piece] = []
    for tag in ids:
        frame = whole * unit[[0, 1, 2, 3, 0]]
        label = Words(
            np.array([whole / 2, 0.2 * module]), f"tag {tag}", min(2.0, 0.5 * module), True
        )
        shapes: list[Shape] = [tag_area(tag, module + black * unit), label, Line(frame)]
        pieces.append((f"tag {tag}", np.array([whole, whole]), shapes))
    note = f"inhand: AprilTag 36h11, black squares of {black:g} mm. Keep the white edge."
    return packed(pieces, paper, note)


def tag_area(tag: int, corners: Array) -> Area:
    """The black parts of a tag.

    Args:
        tag: id.
        corners: of the black square on the page, from the picture's top left clockwise [mm],
            (4, 2).
    """
    right, down = (corners[1] - corners[0]) / MODULES, (corners[3] - corners[0]) / MODULES
    return black_parts(tag_image(tag, 1), corners[0], right, down)


def black_parts(image: Image, origin: Array, right: Array, down: Array) -> Area:
    """The black parts of a picture: a rectangle for each run of black pixels in a row.

    Args:
        image: black and white, (height, width).
        origin: top left corner on the page [mm], (2,).
        right: a pixel's edge [mm], (2,).
        down: a pixel's edge [mm], (2,).
    """
    black = np.pad(image < 128, ((0, 0), (1, 1)))
    changes = np.argwhere(black[:, 1:] != black[:, :-1])
    # Rows that are equal are one rectangle: plates have hundreds of them.
    outlines, open_runs = [], dict[tuple[int, int], int]()
    runs: list[set[tuple[int, int]]] = [set() for _ in range(len(image) + 1)]
    for (row, first), (_, last) in zip(changes[::2].tolist(), changes[1::2].tolist(), strict=True):
        runs[row].add((first, last))
    for row, present in enumerate(runs):
        for run in [run for run in open_runs if run not in present]:
            first, last = run
            across = np.array(
                [[first, open_runs[run]], [last, open_runs[run]], [last, row], [first, row]]
            )
            del open_runs[run]
            outlines.append(origin + across @ np.stack([right, down]))
        for run in present:
            open_runs.setdefault(run, row)
    return Area(tuple(outlines))


def packed(pieces: Sequence[Piece], paper: Paper, *notes: str) -> list[Page]:
    """Pages of pieces side by side, in rows from the top.

    Args:
        pieces: what to place.
        paper: to print on.
        notes: lines of text at the bottom of each page.

    Raises:
        PerceptionError: a piece is larger than the paper.
    """
    pages: list[Page] = []
    size = (0.0, 0.0)
    left = top = bottom = 0.0
    for name, (width, height), shapes in pieces:
        needed = fitting(paper, float(width), float(height), name)
        if left + width > size[0] - MARGIN:
            left, top = MARGIN, bottom - GAP
        if left + width > size[0] - MARGIN or top - height < MARGIN + FOOTER:
            size = needed
            pages.append(Page(size))
            pages[-1].add_footer(*notes)
            left, top = MARGIN, size[1] - MARGIN
            bottom = top
        pages[-1].shapes.extend(shape.moved(np.array([left, top - height])) for shape in shapes)
        bottom = min(bottom, float(top - height))
        left += float(width) + GAP
    return pages
