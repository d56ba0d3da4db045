"""Takes pictures from running cameras: of a plate or an object at rest, those that tell more."""

from pathlib import Path

import cv2
import numpy as np

from inhand.perception.calibration import extrinsics
from inhand.perception.calibration.intrinsics import MINIMUM_CORNERS, LensViews, View, apart
from inhand.perception.calibration.plate import Plate
from inhand.perception.camera.sources import Source
from inhand.perception.cameras import CameraError
from inhand.perception.pictures import write_picture
from inhand.perception.readout import Readout
from inhand.perception.tags import Image

STILL = 0.002
"""A corner that moved less than this from one frame to the next is not blurred [image widths]."""

PATIENCE = 5.0
"""How long a source may give no frame [s]."""

PICTURES_OF_PLACE = 10
"""Of a plate at rest: their noise averages out."""


def capture(source: Source, plate: Plate, views: LensViews, folder: Path, readout: Readout) -> None:
    """Shows what is missing, and takes pictures until nothing is.

    A picture is taken when the plate is held still where it has not been.

    Args:
        source: the camera.
        plate: what it is shown.
        views: takes the pictures in.
        folder: where they are kept, `000.png` and on, after those that are there.
        readout: tells the person with the plate what to do.

    Raises:
        CameraError: the source gives no more frames.
        WriteError: a picture cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    before: View | None = None
    while not views.enough:
        image = next_picture(source, views.status)
        now = plate.find(image)
        if len(now[0]) < MINIMUM_CORNERS:
            what = "show the plate"
        elif before is None or apart(before, now) > STILL * image.shape[1]:
            what = "hold the plate still"
        elif not views.differs(*now):
            what = "move or tilt the plate"
        else:
            path = keep(folder, len(list(folder.glob("*.png"))), image)
            views.add(image)
            what = f"took {path.name}"
        before = now
        readout.show(f"{what}: {views.status}")


def capture_place(source: Source, plate: Plate, name: str, folder: Path, readout: Readout) -> None:
    """Takes pictures of a plate that lies where it is known to lie, once nothing moves.

    Args:
        source: the camera, where it will stay.
        plate: what it sees.
        name: of the camera.
        folder: where the pictures are kept; it must hold none yet.
        readout: tells the person what to do.

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
        now = plate.find(image)
        if len(now[0]) < extrinsics.MINIMUM_CORNERS:
            what = f"{len(now[0])} corners in view, {extrinsics.MINIMUM_CORNERS} are needed"
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
    """Makes sure that pictures of another time are not taken for those of this one.

    Raises:
        CameraError: the folder holds pictures.
    """
    if any(folder.glob("*.png")):
        raise CameraError(
            f"folder {folder} holds pictures already; without a source they are used, with "
            "one give another folder or move them away"
        )


def next_picture(source: Source, status: str) -> Image:
    """The next frame of a camera, grey.

    Args:
        source: the camera.
        status: what to say if it falls silent.

    Raises:
        CameraError: it gives no more frames.
    """
    for _ in range(round(PATIENCE / 0.5)):
        if (frame := source.read(0.5)) is not None:
            return _grey(frame.image)
    raise CameraError(f"the source gave no frame for {PATIENCE:.0f} s; {status}")


def keep(folder: Path, number: int, image: Image) -> Path:
    """Writes a picture to `folder/NUMBER.png`.

    Raises:
        WriteError: it cannot be written.
    """
    path = folder / f"{number:03d}.png"
    write_picture(path, image)
    return path


def _grey(image: Image) -> Image:
    if image.ndim == 2:
        return image
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
