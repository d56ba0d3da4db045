"""Do the faces in a window look as the object's do? Refuses an object in other colours or letters.

A network that was trained on one object takes another of the same shape for it, and its pose fits.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inhand.perception.face_picture import (
    PIXELS_PER_METRE,
    face_corners,
    face_frame,
    marked_face,
    to_cell,
)
from inhand.perception.objects import ObjectDescription
from inhand.perception.rotations import Array
from inhand.perception.tags import Image

CELL = 24
"""Edge of the picture of a face that is compared [px]."""

BLUR = 0.8
"""Standard deviation of the blur of both pictures [px]."""

LETTER = 3.0
"""Standard deviation of the blur by which letters are freed of larger patterns, such as light [px].
Without it, one letter looks like another: both are a dark patch in the middle of a face."""

INNER = 0.75
"""Part of a face that is compared, from its middle: the border may show another face."""

LEAST_AREA = 0.03
"""Faces with a smaller part of the window are not compared."""

LETTERS, COLORS = 0.45, 0.65
"""Least correlation of letters and of colours, chosen by 240 windows of the block in MuJoCo with
random light, noise and objects in front, of which 12 have less, and by 218 windows of blocks of the
same size in random colours, with other letters, of which 7 have more."""


ON_FACE = 0.95
"""Least cosine between the normals of a face and of a tag that is glued to it."""


@dataclass(frozen=True)
class _Face:
    """How one face should look.

    Attributes:
        corners: numbers of its vertices.
        places: of these in its picture [px], (n, 2).
        color: its colours less their grey, of the compared pixels, (k, 3).
        grey: the letter in these pixels, (k,); zero without one.
        inside: which pixels are compared, (CELL, CELL).
    """

    corners: list[int]
    places: Array
    color: Array
    grey: Array
    inside: NDArray[np.bool_]


@dataclass(frozen=True)
class Agreement:
    """Correlations of what is seen with what the faces should look like, -1 to 1.

    Attributes:
        letters: of the brightness within faces; 1 if no face with a letter is seen.
        colors: of the colours; 1 if no face is seen.
    """

    letters: float
    colors: float

    @property
    def good(self) -> bool:
        """Whether it may be the object."""
        return self.letters >= LETTERS and self.colors >= COLORS


class FaceCheck:
    """Compares a window with the faces of one object.

    Args:
        description: the object; without an appearance, everything agrees.
    """

    def __init__(self, description: ObjectDescription) -> None:
        self._faces = list(_faces(description))

    def agreement(self, window: Image, pixels: Array) -> Agreement:
        """Compares.

        Args:
            window: RGB, (edge, edge, 3).
            pixels: all vertices of the object in it, (vertices, 2).
        """
        picture = cv2.GaussianBlur(window.astype(np.float32), (0, 0), BLUR)
        colors, letters, weight = np.zeros(3), 0.0, 0.0
        for face in self._faces:
            outline = pixels[face.corners]
            # Seen from outside, corners run against the clock, in pictures with y down: negative.
            area = -float(cv2.contourArea(outline.astype(np.float32), oriented=True))
            if area < LEAST_AREA * window.shape[0] * window.shape[1]:
                continue
            found, _ = cv2.findHomography(face.places, outline)
            if found is None:
                continue
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            flat = cv2.warpPerspective(picture, found, (CELL, CELL), flags=flags)
            seen = flat[face.inside]
            color = seen - seen.mean(axis=1, keepdims=True)
            share = area / len(seen)
            colors += share * np.array(
                [(color * face.color).sum(), (color**2).sum(), (face.color**2).sum()]
            )
            if face.grey.any():
                letters += area * _correlation(_letter(flat, face.inside), face.grey)
                weight += area
        return Agreement(
            letters=letters / weight if weight else 1.0,
            colors=float(colors[0] / np.sqrt(colors[1] * colors[2])) if colors[1:].all() else 1.0,
        )


def _letter(picture: NDArray[Any], inside: NDArray[np.bool_]) -> Array:
    """Brightness of the compared pixels of a face, RGB, without larger patterns, (k,)."""
    grey = picture.mean(axis=2)
    fine = (grey - cv2.GaussianBlur(grey, (0, 0), LETTER))[inside]
    return np.asarray(fine - fine.mean(), dtype=np.float64)


def _correlation(one: Array, other: Array) -> float:
    both = float((one**2).sum() * (other**2).sum())
    return float((one * other).sum() / np.sqrt(both)) if both else 0.0


def _faces(description: ObjectDescription) -> Iterator[_Face]:
    hidden = set[str]()
    if description.eyes == "both":
        # Tags cover the letters.
        outs = [tag.rotation[:, 2] for tag in description.tags]
        hidden = {
            name
            for name, normal in description.faces.items()
            if any(out @ normal > ON_FACE for out in outs)
        }
    for name, mark in description.appearance.items():
        normal = description.faces[name]
        corners = face_corners(description.vertices, normal)
        # Three corners do not show how a face is tilted.
        if len(corners) < 4 or name in hidden:
            continue
        flat = description.vertices[corners] @ face_frame(normal)[:, :2]
        large = 2 * int(np.ceil(np.abs(flat).max() * PIXELS_PER_METRE))
        drawn = cv2.cvtColor(marked_face(mark, flat, large), cv2.COLOR_BGR2RGB)
        small = cv2.resize(drawn, (CELL, CELL), interpolation=cv2.INTER_AREA)
        picture = cv2.GaussianBlur(small.astype(np.float32), (0, 0), BLUR)
        inside = np.zeros((CELL, CELL), dtype=np.uint8)
        inner = np.round(_shrunk(to_cell(INNER * flat, large), large)).astype(np.int32)
        cv2.fillConvexPoly(inside, inner.reshape(-1, 1, 2), (1,))
        compared = picture[inside.astype(bool)].astype(np.float64)
        letter = _letter(picture, inside.astype(bool))
        yield _Face(
            corners=corners,
            places=_shrunk(to_cell(flat, large), large),
            color=compared - compared.mean(axis=1, keepdims=True),
            grey=letter if mark.letter else np.zeros(len(letter)),
            inside=inside.astype(bool),
        )


def _shrunk(pixels: Array, large: int) -> Array:
    """Pixels of a picture after it was scaled from `large` to CELL."""
    scaled: Array = (pixels + 0.5) * CELL / large - 0.5
    return scaled
