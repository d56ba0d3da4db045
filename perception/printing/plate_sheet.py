"""The calibration plate to print: a PDF page, or a picture with its resolution."""

import struct
import zlib
from fractions import Fraction

import cv2
import numpy as np

from inhand.perception.calibration.plate import Plate
from inhand.perception.errors import PerceptionError
from inhand.perception.printing.page import MILLIMETRES, Page, Paper, centre, fitting
from inhand.perception.printing.tag_sheet import black_parts
from inhand.perception.tags import Image

TAG_MODULES = 7
"""Modules along the edge of a tag of the plate, with its border."""


def plate_page(plate: Plate, paper: Paper) -> Page:
    """The plate on a page.

    Raises:
        PerceptionError: it is larger than the paper.
    """
    # With so many pixels a square, each module of a tag has a whole number of them.
    pixels = TAG_MODULES * Fraction(plate.marker / plate.square).limit_denominator(60).denominator
    pixels *= -(-300 // pixels)
    image = plate.image(pixels)
    scale = MILLIMETRES * plate.square / pixels
    height, width = (scale * extent for extent in image.shape)
    size = fitting(paper, width, height, "the plate")
    page = Page(size)
    top_left = centre(size, width, height) + (0.0, height)
    right, down = np.array([scale, 0.0]), np.array([0.0, -scale])
    page.shapes.append(black_parts(image, top_left, right, down))
    page.add_footer(
        f"inhand: {plate.kind}, {plate.columns} × {plate.rows}, square "
        f"{MILLIMETRES * plate.square:g} mm, marker {MILLIMETRES * plate.marker:g} mm. Glue it "
        "onto something flat.",
        "Measure both; give the result [m] as --plate.square and --plate.marker.",
    )
    return page


def plate_picture(plate: Plate, paper: Paper, dpi: int) -> bytes:
    """The plate as a PNG file that states its resolution.

    The resolution differs a little from `dpi`, so that a square has a whole number of pixels.

    Raises:
        PerceptionError: the plate is larger than the paper, or has too few pixels.
    """
    pixels = round(plate.square / 0.0254 * dpi)
    if not 3 * TAG_MODULES <= pixels * plate.marker / plate.square <= 10_000:
        raise PerceptionError(f"--dpi {dpi} does not suit this plate; 300 to 1200 is usual")
    density = pixels / plate.square
    image = plate.image(pixels)
    height, width = (MILLIMETRES * extent / density for extent in image.shape)
    size = fitting(paper, width, height, "the plate")
    columns, rows = (round(edge / MILLIMETRES * density) for edge in size)
    canvas = np.full((rows, columns), 255, dtype=np.uint8)
    top, left = (rows - image.shape[0]) // 2, (columns - image.shape[1]) // 2
    canvas[top : top + image.shape[0], left : left + image.shape[1]] = image
    return _png(canvas, round(density))


def _png(image: Image, density: int) -> bytes:
    """A PNG file with its resolution [pixels per metre]: the chunk `pHYs`, which OpenCV omits."""
    _, encoded = cv2.imencode(".png", image)
    data = encoded.tobytes()
    # The signature and the first chunk, which has 13 bytes of content, always come first.
    head = 8 + 4 + 4 + 13 + 4
    chunk = b"pHYs" + struct.pack(">IIB", density, density, 1)
    framed = struct.pack(">I", 9) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return data[:head] + framed + data[head:]
