"""Meshes for drawing: binary STL."""

from pathlib import Path

import numpy as np

from inhand.files import write_whole
from inhand.hardware.errors import DescriptionError
from inhand.hardware.records import Array

_TRIANGLE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("rest", "<u2")])
_HEAD = 80
LARGEST = 2.0
"""A part of a hand is smaller than this [m]."""


def stl_bytes(triangles: Array) -> bytes:
    """Binary STL of triangles, (n, 3, 3) [m]."""
    records = np.zeros(len(triangles), dtype=_TRIANGLE)
    records["corners"] = triangles
    return bytes(_HEAD) + np.uint32(len(triangles)).tobytes() + records.tobytes()


def read_stl(path: Path) -> Array:
    """Triangles of a binary STL file, (n, 3, 3) [m].

    Raises:
        DescriptionError: it cannot be read, is no binary STL, or is in millimetres.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DescriptionError(f"drawing {path}: {error.strerror}") from None
    number = int.from_bytes(raw[_HEAD : _HEAD + 4], "little")
    if len(raw) != _HEAD + 4 + number * _TRIANGLE.itemsize or not number:
        raise DescriptionError(f"drawing {path} is no binary STL; convert it, with lengths in m")
    corners = np.frombuffer(raw, dtype=_TRIANGLE, offset=_HEAD + 4)["corners"].astype(np.float64)
    extent = float(np.ptp(corners.reshape(-1, 3), axis=0).max())
    if not extent < LARGEST:
        raise DescriptionError(
            f"drawing {path} is {extent:.0f} m long; lengths are in metres, not millimetres"
        )
    return corners


def write_stl(path: Path, triangles: Array) -> None:
    """Writes triangles, (n, 3, 3) [m], as a binary STL file.

    Raises:
        OSError: it cannot be written.
    """
    write_whole(path, stl_bytes(triangles))
