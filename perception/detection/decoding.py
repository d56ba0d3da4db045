"""Reads the bits of squares in an image, and finds the tags that have them.

OpenCV reads a square from an unwarped image of it, with corners good to a pixel. A module of a
small tag is one or two pixels wide, so that is too coarse. Here, the modules' centres are sampled
in the image itself, from corners that are refined first. Brightness and its slope across the tag
come from the black border and the white edge around it (Olson, "AprilTag: A robust and flexible
visual fiducial system", ICRA 2011, section III-C).
"""

from dataclasses import dataclass
from functools import cache, cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from inhand.perception.detection.sampling import sample
from inhand.perception.rotations import Array
from inhand.perception.tags import Image

Modules = NDArray[np.bool_]

SHARPENING = 0.25
"""Share of the difference between a module and its neighbours that is added to it: blur removes
it."""

LEAST_CONTRAST = 8.0
"""Least difference between white edge and black border [grey levels]."""

BLACK_BORDER = 0.8
"""Least share of the modules of the border that must be black."""


@dataclass(frozen=True)
class Codes:
    """The tags of one family.

    Attributes:
        bits: 1 for white, upright, (n, side, side).
    """

    bits: NDArray[np.uint8]

    @property
    def side(self) -> int:
        """Number of modules along an edge, without the border."""
        return int(self.bits.shape[1])

    @cached_property
    def turned(self) -> NDArray[np.float32]:
        """Each tag as it reads from its corner 0, 1, 2 and 3 on, -1 and 1, (4 n, side²)."""
        ways = np.stack([np.rot90(self.bits, k, axes=(1, 2)) for k in range(4)], axis=1)
        flat = ways.reshape(4 * len(self.bits), -1).astype(np.float32)
        result: NDArray[np.float32] = 2 * flat - 1
        return result


def codes_of(dictionary: cv2.aruco.Dictionary) -> Codes:
    """The tags of a dictionary of OpenCV."""
    rows, side = np.asarray(dictionary.bytesList), dictionary.markerSize
    read = cv2.aruco.Dictionary.getBitsFromByteList
    bits = [np.asarray(read(rows[i : i + 1], side), dtype=np.uint8) for i in range(len(rows))]
    return Codes(np.stack(bits))


@dataclass(frozen=True)
class Bits:
    """What squares show.

    Attributes:
        modules: brightness of each module of the data, above 0 if it is nearer to white,
            (k, side, side).
        sound: whether the border is black and its surroundings white, (k,).
        contrast: difference between the two [grey levels], (k,).
    """

    modules: Array
    sound: NDArray[np.bool_]
    contrast: Array

    def clear(self, share: float) -> NDArray[np.bool_]:
        """Whether all modules differ from grey by a share of half the contrast, (k,)."""
        least = np.abs(self.modules).min(axis=(1, 2))
        result: NDArray[np.bool_] = least > share * self.contrast / 2
        return result


def read_bits(image: Image, quads: Array, side: int, border: int = 1) -> Bits:
    """Reads squares as tags.

    Args:
        image: grey, (height, width).
        quads: outer corners of the black squares [px], clockwise, (k, 4, 2).
        side: modules along an edge of the data.
        border: width of the black border [modules].
    """
    across = side + 2 * border
    grid = sample(image, _centres(quads, across))
    level = grid.reshape(len(grid), (across + 2) ** 2)
    white, black, whole = _surfaces(across)
    bright = level[:, white[0]] @ white[1]
    dark = level[:, black[0]] @ black[1]
    relative = level - (bright + dark) @ whole / 2
    # The planes' first coefficient is their value in the middle.
    contrast = bright[:, 0] - dark[:, 0]
    rim = relative[:, black[0]]
    relative = relative.reshape(grid.shape)
    sound = (contrast > LEAST_CONTRAST) & ((rim < 0).mean(axis=1) >= BLACK_BORDER)
    neighbours = relative[:, :-2, 1:-1] + relative[:, 2:, 1:-1] + relative[:, 1:-1, :-2]
    neighbours = neighbours + relative[:, 1:-1, 2:]
    inner = relative[:, 1:-1, 1:-1]
    sharp = inner + SHARPENING * (4 * inner - neighbours)
    data = slice(border, border + side)
    return Bits(sharp[:, data, data], sound, contrast)


def match(bits: Bits, codes: Codes, wrong: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Finds the tags that squares show.

    Args:
        bits: of the squares.
        codes: of the family.
        wrong: number of wrong bits that is corrected.

    Returns:
        tags: number in the family, -1 if none matches, (k,).
        first: the corner of the square that is the tag's top left one, (k,).
    """
    tags, first = np.full(len(bits.sound), -1), np.zeros(len(bits.sound), dtype=np.intp)
    sound = np.flatnonzero(bits.sound)
    if len(sound):
        read = np.where(bits.modules[sound] > 0, 1, -1).reshape(len(sound), -1).astype(np.float32)
        agreement = read @ codes.turned.T
        best = np.argmax(agreement, axis=1)
        errors = (codes.side**2 - agreement[np.arange(len(best)), best]) / 2
        tags[sound] = np.where(errors <= wrong + 0.5, best // 4, -1)
        first[sound] = -best % 4
    return tags, first


def _centres(quads: Array, across: int) -> Array:
    """Centres of the modules of squares and of one row around them [px], (k, m, m, 2).

    Rows run down and columns right, with the square's first corner at the top left. The projective
    map of the unit square is Heckbert's ("Fundamentals of texture mapping", 1989, section 2.2.3).
    """
    p0, p1, p2, p3 = (quads[:, k] for k in range(4))
    d1, d2, d3 = p1 - p2, p3 - p2, p0 - p1 + p2 - p3
    scale = d1[:, 0] * d2[:, 1] - d2[:, 0] * d1[:, 1]
    scale = np.where(np.abs(scale) > 1e-9, scale, 1e-9)
    g = ((d3[:, 0] * d2[:, 1] - d2[:, 0] * d3[:, 1]) / scale)[:, None]
    h = ((d1[:, 0] * d3[:, 1] - d3[:, 0] * d1[:, 1]) / scale)[:, None]
    along, down = p1 - p0 + g * p1, p3 - p0 + h * p3
    steps = (np.arange(-1, across + 1) + 0.5) / across
    v, u = (each[None, :, :, None] for each in np.meshgrid(steps, steps, indexing="ij"))
    place = [each[:, None, None, :] for each in (along, down, p0, g, h)]
    depth = place[3] * u + place[4] * v + 1
    depth = np.where(np.abs(depth) > 1e-6, depth, 1e-6)
    points: Array = (place[0] * u + place[1] * v + place[2]) / depth
    return points


@cache
def _surfaces(across: int) -> tuple[tuple[Modules, Array], tuple[Modules, Array], Array]:
    """How to fit planes of brightness to the white edge and the black rim of a grid.

    Args:
        across: modules along the edge of the black square.

    Returns:
        white: which modules are the white edge, without its corners, and the matrix (n, 3) that
            gives a plane's coefficients from their brightness.
        black: the same for the outermost row of the square.
        whole: values of a plane in all modules, by its coefficients, (3, m).
    """
    index = np.arange(-1, across + 1)
    row, column = (each.ravel() for each in np.meshgrid(index, index, indexing="ij"))
    far = (across - 1) / 2
    depth = far - np.maximum(np.abs(row - far), np.abs(column - far))
    corner = (np.abs(row - far) > far) & (np.abs(column - far) > far)
    design = np.stack([np.ones(row.size), row / far - 1, column / far - 1], axis=-1)
    white, black = (depth < 0) & ~corner, depth == 0
    fits = [(which, np.linalg.pinv(design[which]).T) for which in (white, black)]
    return fits[0], fits[1], design.T
