"""Takes calibration pictures with running cameras, each time the plate is at rest in a new pose."""

from pathlib import Path

import cv2
import numpy as np

from inhand.perception.calibration import extrinsics
from inhand.perception.calibration.intrinsics import MINIMUM_CORNERS, LensViews, apart
from inhand.perception.calibration.lens_fit import View
from inhand.perception.calibration.plate import Plate
from inhand.perception.camera.sources import Source
from inhand.perception.cameras import CameraError
from inhand.perception.pictures import picture_files, write_picture
from inhand.perception.readout import Readout
from inhand.perception.tags import Image

STILL = 0.002
"""Largest motion of a corner between two frames that counts as rest [image widths]."""

PATIENCE = 5.0
"""Time without a frame after which capturing fails [s]."""

PICTURES_OF_PLACE = 10
"""Number of pictures of a plate at rest, which averages their noise."""


def capture(source: Source, plate: Plate, views: LensViews, folder: Path, readout: Readout) -> None:
    """Takes pictures until they suffice, and shows what is missing.

    A picture is taken when the plate is at rest in a new pose.

    Args:
        source: the camera.
        plate: the plate.
        views: collects the pictures.
        folder: folder for the pictures; numbers continue after those in it, from `000.png`.
        readout: shows the person with the plate what to do.

    Raises:
        CameraError: the source gives no more frames.
        WriteError: a picture cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    before: View | None = None
    while not views.enough:
        image = next_picture(source, views.status)
        plate = plate.settled(image)
        points, pixels, why = plate.look(image)
        now = points, pixels
        if len(points) < MINIMUM_CORNERS:
            what = why or "show the plate"
        elif before is None or apart(before, now) > STILL * image.shape[1]:
            what = "hold the plate still"
        elif not views.differs(*now):
            what = "move or tilt the plate"
        else:
            path = keep(folder, next_number(folder), image)
            views.add(image, path.name)
            what = f"took {path.name}"
        before = now
        readout.show(f"{what}: {views.status}")


def capture_place(source: Source, plate: Plate, name: str, folder: Path, readout: Readout) -> None:
    """Takes pictures of a plate at a known pose, while plate and camera are at rest.

    Args:
        source: the camera in its final pose.
        plate: the plate.
        name: of the camera.
        folder: folder for the pictures; it must have none yet.
        readout: shows the person what to do.

    Raises:
        CameraError: the folder holds pictures, the source gives no more frames, or a picture cannot
            be written.
    """
    require_empty(folder)
    before: View | None = None
    taken: list[Image] = []
    while len(taken) < PICTURES_OF_PLACE:
        status = f"{name}: {len(taken)} of {PICTURES_OF_PLACE} pictures"
        image = next_picture(source, status)
        plate = plate.settled(image)
        points, pixels, why = plate.look(image)
        now = points, pixels
        if len(points) < extrinsics.MINIMUM_CORNERS:
            what = f"{len(points)} corners in view, {extrinsics.MINIMUM_CORNERS} are needed"
            what = f"{what}; {why}" if why else what
        elif before is None or apart(before, now) > STILL * image.shape[1]:
            what = "leave plate and camera alone"
        else:
            taken.append(image)
            what = "seen"
        before = now
        readout.show(f"{status}: {what}")
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(taken):
        keep(folder, number, image)


def require_empty(folder: Path) -> None:
    """Refuses a folder with pictures, which would be mixed with new ones.

    Raises:
        CameraError: the folder holds pictures.
    """
    if picture_files(folder):
        raise CameraError(
            f"folder {folder} holds pictures already; without a source they are used, with "
            "one give another folder or move them away"
        )


def next_picture(source: Source, status: str) -> Image:
    """The next frame of a camera, grey.

    Args:
        source: the camera.
        status: for the error message.

    Raises:
        CameraError: the camera gives no more frames.
    """
    for _ in range(round(PATIENCE / 0.5)):
        if (frame := source.read(0.5)) is not None:
            return _grey(frame.image)
    raise CameraError(f"the source gave no frame for {PATIENCE:.0f} s; {status}")


def next_number(folder: Path) -> int:
    """The number after the highest among a folder's pictures; 0 without any."""
    names = [path.stem for path in folder.glob("*")]
    return max((int(name) for name in names if name.isdecimal()), default=-1) + 1


def keep(folder: Path, number: int, image: Image) -> Path:
    """Writes a picture to `folder/NUMBER.png`, which must not exist.

    Raises:
        CameraError: it exists.
        WriteError: it cannot be written.
    """
    path = folder / f"{number:03d}.png"
    if path.exists():
        raise CameraError(f"picture {path} exists already; it stays as it is")
    write_picture(path, image)
    return path


def _grey(image: Image) -> Image:
    if image.ndim == 2:
        return image
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
