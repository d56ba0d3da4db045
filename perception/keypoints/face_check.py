"""Do the faces in a window look as the object's do? Refuses an object in other colours or letters.

A network that was trained on one object takes another of the same shape for it, and its pose fits.
A letter is compared with all others: it must look more like its own picture than like theirs.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inhand.perception.appearance import FaceMark
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

CELL = 32
"""Edge of the picture of a face that is compared [px]."""

BLUR = 0.7
"""Standard deviation of the blur of both pictures [px]."""

LETTER = 4.0
"""Standard deviation of the blur by which letters are freed of larger patterns, such as light [px].
Without it, one letter looks like another: both are a dark patch in the middle of a face."""

INNER = 0.75
"""Part of a face that is compared, from its middle: the border may show another face."""

LEAST_AREA = 0.03
"""Faces with a smaller part of the window are not compared."""

SHIFT = 2
"""Letters are looked for up to so many pixels beside their places, as poses are not exact [px]."""

CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
TWINS = 0.85
"""A character is no other one if its picture correlates so much with the letter's."""

COLORS = 0.65
"""Least correlation of the colours."""

OWN, OTHER = (0.11, 0.13), (-0.375, 0.24)
"""Mean and standard deviation of the advantage of the faces' letters over all others, of the object
and of one with other letters: by 375 windows of such blocks in MuJoCo, with random light, noise and
objects in front. The deviations are twice those of the windows, as frames in a row are alike."""
MOST = 3.0
"""Largest logarithm of the ratio of both likelihoods by one view."""

ON_FACE = 0.95
"""Least cosine between the normals of a face and of a tag that is glued to it."""


@dataclass(frozen=True)
class _Face:
    """How one face should look.

    Attributes:
        corners: numbers of its vertices.
        places: of these in its picture [px], (n, 2).
        color: its colours less their grey, of the compared pixels, (k, 3).
        letters: normalised pictures in these pixels, first the face's letter and then those that
            it is not: other characters, and itself turned, (m, k); empty without a letter.
        inside: which pixels are compared, (CELL, CELL).
    """

    corners: list[int]
    places: Array
    color: Array
    letters: Array
    inside: NDArray[np.bool_]


@dataclass(frozen=True)
class Agreement:
    """How much what is seen looks like the faces.

    Attributes:
        letters: by how much the brightness within faces correlates more with their letters than
            with the likeliest others, from -2 to 2; None if no face with a letter is seen.
        colors: correlation of the colours, -1 to 1; 1 if no face is seen.
    """

    letters: float | None
    colors: float

    @property
    def evidence(self) -> float:
        """Logarithm of the likelihood ratio of the object and one with other letters."""
        if self.letters is None:
            return 0.0
        own, other = ((self.letters - mean) / sigma for mean, sigma in (OWN, OTHER))
        ratio = (other**2 - own**2) / 2 + float(np.log(OTHER[1] / OWN[1]))
        return min(max(ratio, -MOST), MOST)

    def good(self, before: float = 0.0) -> bool:
        """Whether it may be the object, with the evidence of the views before."""
        return self.colors >= COLORS and before + self.evidence >= 0.0


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
            if len(face.letters):
                own, *others = _likeness(flat, face)
                letters += area * (own - max(others))
                weight += area
        return Agreement(
            letters=letters / weight if weight else None,
            colors=float(colors[0] / np.sqrt(colors[1] * colors[2])) if colors[1:].all() else 1.0,
        )


def _fine(picture: NDArray[Any]) -> NDArray[np.float32]:
    """Brightness of a face, RGB, without larger patterns, (CELL, CELL)."""
    grey = picture.mean(axis=2, dtype=np.float32)
    return np.asarray(grey - cv2.GaussianBlur(grey, (0, 0), LETTER), dtype=np.float32)


def _normal(rows: NDArray[Any]) -> NDArray[np.float32]:
    """Rows without their means, of length 1; zero if they are even, (n, k)."""
    centred = rows - rows.mean(axis=-1, keepdims=True)
    length = np.linalg.norm(centred, axis=-1, keepdims=True)
    return np.asarray(centred / np.maximum(length, 1e-9), dtype=np.float32)


def _likeness(flat: NDArray[Any], face: _Face) -> list[float]:
    """Correlations of a face with its letter and with each other one, where they are largest."""
    fine, places = _fine(flat), np.argwhere(face.inside)
    beside = np.arange(-SHIFT, SHIFT + 1)
    shifts = np.stack(np.meshgrid(beside, beside), axis=-1).reshape(-1, 1, 2)
    moved = np.clip(places + shifts, 0, CELL - 1)
    seen = _normal(fine[moved[..., 0], moved[..., 1]])
    return [float(value) for value in (seen @ face.letters.T).max(axis=0)]


def _letters(mark: FaceMark, flat: Array, large: int, inside: NDArray[np.bool_]) -> Array:
    """What the letter of a face looks like, and what it is not, as in `_Face.letters`."""
    own = _fine(_drawn(mark, flat, large))
    others = [np.rot90(own, turn) for turn in (1, 2, 3)]
    for character in CHARACTERS:
        others.append(_fine(_drawn(FaceMark(mark.color, character), flat, large)))
    rows = _normal(np.array([picture[inside] for picture in (own, *others)]))
    different = rows[1:][rows[1:] @ rows[0] < TWINS]
    return np.concatenate([rows[:1], different])


def _drawn(mark: FaceMark, flat: Array, large: int) -> NDArray[np.float32]:
    """A face as it should look in the picture that is compared, RGB, (CELL, CELL, 3)."""
    drawn = cv2.cvtColor(marked_face(mark, flat, large), cv2.COLOR_BGR2RGB)
    small = cv2.resize(drawn, (CELL, CELL), interpolation=cv2.INTER_AREA).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(small, (0, 0), BLUR), dtype=np.float32)


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
        picture = _drawn(mark, flat, large)
        inside = np.zeros((CELL, CELL), dtype=np.uint8)
        inner = np.round(_shrunk(to_cell(INNER * flat, large), large)).astype(np.int32)
        cv2.fillConvexPoly(inside, inner.reshape(-1, 1, 2), (1,))
        shown = inside.astype(bool)
        compared = picture[shown].astype(np.float64)
        yield _Face(
            corners=corners,
            places=_shrunk(to_cell(flat, large), large),
            color=compared - compared.mean(axis=1, keepdims=True),
            letters=_letters(mark, flat, large, shown)
            if mark.letter
            else np.empty((0, shown.sum())),
            inside=shown,
        )


def _shrunk(pixels: Array, large: int) -> Array:
    """Pixels of a picture after it was scaled from `large` to CELL."""
    scaled: Array = (pixels + 0.5) * CELL / large - 0.5
    return scaled
