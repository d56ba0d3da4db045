"""A page in true size: shapes in millimetres, written as PDF."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, Literal, get_args

import numpy as np

from inhand.perception.errors import PerceptionError
from inhand.perception.rotations import Array

PAPERS = {
    "a5": (148.0, 210.0),
    "a4": (210.0, 297.0),
    "a3": (297.0, 420.0),
    "letter": (215.9, 279.4),
    "legal": (215.9, 355.6),
    "tabloid": (279.4, 431.8),
}
"""Width and height, upright [mm] (ISO 216, ANSI Y14.1)."""

Paper = Literal["a5", "a4", "a3", "letter", "legal", "tabloid"]

MARGIN = 7.0
"""Border in which printers do not print [mm]."""

FOOTER = 22.0
"""Height of ruler and text at the bottom of each page [mm]."""

RULER = 100.0
"""Length of the ruler [mm]."""

MILLIMETRES = 1000.0
"""Millimetres of a metre."""

POINTS = 72 / 25.4
"""Points of a PDF in a millimetre."""

CAPITAL = 0.72
"""Height of a capital letter of Helvetica, relative to the size of the font."""

DASHES = (1.5, 1.5)
"""Length of the dashes of a fold line, and of the gaps between them [mm]."""


@dataclass(frozen=True)
class Area:
    """A filled area that may have several parts, drawn at once so that no seams are seen.

    Attributes:
        outlines: corners of each part, from the page's lower left corner [mm], each (n, 2).
    """

    outlines: tuple[Array, ...]

    def moved(self, by: Array) -> "Area":
        """The same elsewhere; `by` is a shift [mm], (2,)."""
        return Area(tuple(outline + by for outline in self.outlines))


@dataclass(frozen=True)
class Line:
    """A line through points [mm], (n, 2); `fold` lines are dashed and light."""

    points: Array
    fold: bool = False

    def moved(self, by: Array) -> "Line":
        """The same elsewhere; `by` is a shift [mm], (2,)."""
        return Line(self.points + by, self.fold)


@dataclass(frozen=True)
class Words:
    """A line of text whose base line begins at `at` [mm], (2,), or is centred there.

    `height` is that of capital letters [mm].
    """

    at: Array
    text: str
    height: float
    centred: bool = False

    def moved(self, by: Array) -> "Words":
        """The same elsewhere; `by` is a shift [mm], (2,)."""
        return Words(self.at + by, self.text, self.height, self.centred)


Shape = Area | Line | Words


@dataclass(frozen=True)
class Page:
    """One sheet of paper.

    Attributes:
        size: width and height [mm].
        shapes: what is on it.
    """

    size: tuple[float, float]
    shapes: list[Shape] = field(default_factory=list)

    def add_footer(self, *lines: str) -> None:
        """Adds the ruler and lines of text at the bottom."""
        left, bottom = MARGIN, MARGIN + 14.0
        for k in range(int(RULER / 10) + 1):
            height = 4.0 if k % 5 == 0 else 2.5
            x = left + 10.0 * k
            self.shapes.append(Line(np.array([[x, bottom], [x, bottom + height]])))
            if k % 5 == 0:
                at = np.array([x + 0.8, bottom + 1.5])
                self.shapes.append(Words(at, f"{10 * k} mm" if k else "0", 2.0))
        self.shapes.append(Line(np.array([[left, bottom], [left + RULER, bottom]])))
        text = (
            "Print at 100 % (actual size, not 'fit to page'). Then measure this ruler: 100 mm.",
            *lines,
        )
        for k, line in enumerate(text):
            at = np.array([left, bottom - 4.0 - 3.4 * k])
            self.shapes.append(Words(at, line, 2.0))


def oriented(paper: Paper, width: float, height: float) -> tuple[float, float] | None:
    """Size of a paper, upright or lying, on which a drawing fits above the footer; None if none.

    Args:
        paper: name of the paper.
        width: of the drawing [mm].
        height: of the drawing [mm].
    """
    upright = PAPERS[paper]
    for size in (upright, (upright[1], upright[0])):
        if width <= size[0] - 2 * MARGIN and height <= size[1] - 2 * MARGIN - FOOTER:
            return size
    return None


def centre(size: tuple[float, float], width: float, height: float) -> Array:
    """Lower left corner of a drawing in the middle of the space above the footer [mm], (2,)."""
    bottom = MARGIN + FOOTER
    return np.array([(size[0] - width) / 2, bottom + (size[1] - MARGIN - bottom - height) / 2])


def fitting(paper: Paper, width: float, height: float, what: str) -> tuple[float, float]:
    """Size of a paper, upright or lying, on which `what` fits above the footer [mm].

    Raises:
        PerceptionError: it fits neither way; the message says on which papers it does.
    """
    size = oriented(paper, width, height)
    if size is None:
        names: list[Paper] = [name for name in get_args(Paper) if oriented(name, width, height)]
        raise PerceptionError(
            f"{what} is {width:.0f} × {height:.0f} mm and does not fit on {paper} with its ruler; "
            f"papers on which it fits: {', '.join(names) or 'none'}"
        )
    return size


def pdf(pages: Sequence[Page], title: str) -> bytes:
    """A PDF file of pages in true size. Viewers are told not to scale it.

    Raises:
        PerceptionError: reportlab is not installed.
    """
    try:
        from reportlab.pdfgen.canvas import Canvas
    except ImportError:
        raise PerceptionError(
            "reportlab is not installed; install it with `pip install 'inhand[print]'`"
        ) from None
    buffer = BytesIO()
    canvas = Canvas(buffer, invariant=1)
    canvas.setTitle(title)
    canvas.setCreator("inhand print")
    canvas.setViewerPreference("PrintScaling", "None")
    for page in pages:
        canvas.setPageSize((page.size[0] * POINTS, page.size[1] * POINTS))
        for shape in page.shapes:
            _draw(canvas, shape)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def _draw(canvas: Any, shape: Shape) -> None:
    """Draws a shape on a canvas of reportlab."""
    if isinstance(shape, Words):
        canvas.setFillGray(0.25)
        canvas.setFont("Helvetica", shape.height / CAPITAL * POINTS)
        write = canvas.drawCentredString if shape.centred else canvas.drawString
        write(*(shape.at * POINTS).tolist(), shape.text)
        return
    path = canvas.beginPath()
    closed = isinstance(shape, Area)
    for outline in shape.outlines if isinstance(shape, Area) else (shape.points,):
        first, *others = (outline * POINTS).tolist()
        path.moveTo(*first)
        for point in others:
            path.lineTo(*point)
        if closed:
            path.close()
    if isinstance(shape, Line):
        canvas.setLineWidth(0.15 * POINTS)
        canvas.setStrokeGray(0.6 if shape.fold else 0.0)
        canvas.setDash([d * POINTS for d in DASHES] if shape.fold else [])
    canvas.setFillGray(0.0)
    canvas.drawPath(path, stroke=0 if closed else 1, fill=1 if closed else 0, fillMode=1)
