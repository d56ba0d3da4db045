"""Pictures as files."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from inhand.files import write_whole
from inhand.perception.errors import PerceptionError
from inhand.perception.tags import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm")
"""Endings of picture files, in lower case."""

DRAWN = ("-residuals", "-place", "-latency", "-tags")
"""Ends of the names of pictures that commands draw; they are no input."""


def is_picture(path: Path) -> bool:
    """Whether a file is a picture by its name, and none that a command has drawn."""
    return path.suffix.lower() in SUFFIXES and not path.stem.endswith(DRAWN)


def picture_files(folder: Path) -> list[Path]:
    """The pictures of a folder, by name."""
    return sorted(path for path in folder.glob("*") if is_picture(path) and path.is_file())


def pictures(folder: Path) -> Iterator[tuple[Path, Image]]:
    """The pictures of a folder by name, grey, each once: copies of a file are left out.

    Raises:
        PerceptionError: there is none, or one cannot be read.
    """
    paths = picture_files(folder)
    if not paths:
        raise PerceptionError(
            f"folder {folder} holds no picture; give one with PNG, JPEG, BMP or TIFF files"
        )
    seen: set[bytes] = set()
    for path in paths:
        image = read_picture(path)
        digest = hashlib.sha256(image.tobytes()).digest()
        if digest not in seen:
            seen.add(digest)
            yield path, image


def read_picture(path: Path) -> Image:
    """A picture as the sensor took it, grey, (height, width).

    EXIF's orientation is ignored: a camera's stream is not turned either.

    Raises:
        PerceptionError: it cannot be read.
    """
    try:
        data = np.fromfile(path, dtype=np.uint8)
        flags = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR | cv2.IMREAD_IGNORE_ORIENTATION
        image = cv2.imdecode(data, flags) if data.size else None
    except (OSError, cv2.error) as error:
        raise PerceptionError(f"picture {path} cannot be read: {error}") from error
    if image is None:
        raise PerceptionError(f"picture {path} cannot be read; is the file complete?")
    if image.dtype not in (np.uint8, np.uint16):
        raise PerceptionError(
            f"picture {path} has numbers of type {image.dtype}; save it with 8 or 16 bits"
        )
    return to_grey(image)


def to_grey(image: NDArray[np.generic]) -> Image:
    """A picture as OpenCV delivers it, as 8-bit grey, (height, width).

    Args:
        image: one channel, BGR, BGRA or raw YUYV (two channels); 8 bits, or 10 to 16 bits in
            16-bit numbers; (height, width) or (height, width, channels).

    Raises:
        PerceptionError: it is of no such form.
    """
    values = np.asarray(image)
    if values.dtype == np.uint16:
        values = (values >> max(0, int(values.max(initial=0)).bit_length() - 8)).astype(np.uint8)
    if values.dtype != np.uint8 or values.ndim not in (2, 3) or not values.size:
        raise PerceptionError(
            f"a picture of type {values.dtype} and shape {values.shape} is not supported; set the "
            "camera to 8-bit grey, YUYV or MJPEG"
        )
    if values.ndim == 2:
        return np.ascontiguousarray(values)
    channels = values.shape[2]
    if channels in (1, 2):
        # The first channel of YUYV is the brightness.
        return np.ascontiguousarray(values[:, :, 0])
    codes = {3: cv2.COLOR_BGR2GRAY, 4: cv2.COLOR_BGRA2GRAY}
    if channels not in codes:
        raise PerceptionError(f"a picture of {channels} channels is not supported")
    return np.asarray(cv2.cvtColor(values, codes[channels]), dtype=np.uint8)


def to_color(image: NDArray[np.generic]) -> Image:
    """A picture as OpenCV delivers it, as 8-bit RGB, (height, width, 3); a grey one stays grey.

    Args:
        image: as for `to_grey`.

    Raises:
        PerceptionError: it is of no such form.
    """
    values = np.asarray(image)
    codes = {2: cv2.COLOR_YUV2RGB_YUYV, 3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGB}
    channels = values.shape[2] if values.ndim == 3 else 1
    if values.dtype != np.uint8 or channels not in codes:
        return to_grey(image)
    return np.asarray(cv2.cvtColor(values, codes[channels]), dtype=np.uint8)


def write_picture(path: str | Path, image: Image) -> None:
    """Writes a picture, whole or not at all.

    Args:
        path: of the file; its ending names the format.
        image: gray (height, width), or (height, width, 3) as BGR.

    Raises:
        PerceptionError: there is no picture format of that ending.
        WriteError: the file cannot be written.
    """
    try:
        done, data = cv2.imencode(Path(path).suffix, image)
    except cv2.error:
        done = False
    if not done:
        raise PerceptionError(f"picture {path}: no picture format ends so; name a .png file")
    write_whole(path, data.tobytes())
