"""Takes the pictures of a plate from a running camera, those that tell something new."""

from pathlib import Path

import cv2
import numpy as np

from perception.cameras import CameraError
from perception.intrinsics import MINIMUM_CORNERS, LensViews, View, apart
from perception.plate import Plate
from perception.readout import Readout
from perception.sources import Source
from perception.tags import Image

STILL = 0.002
"""A corner that moved less than this from one frame to the next is not blurred [image widths]."""

PATIENCE = 5.0
"""How long a source may give no frame [s]."""


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
        CameraError: the source gives no more frames, or a picture cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    before: View | None = None
    silent = 0.0
    while not views.enough:
        frame = source.read(0.5)
        if frame is None:
            silent += 0.5
            if silent >= PATIENCE:
                raise CameraError(f"the source gave no frame for {PATIENCE:.0f} s; {views.status}")
            continue
        silent = 0.0
        image = _grey(frame.image)
        now = plate.find(image)
        if len(now[0]) < MINIMUM_CORNERS:
            what = "show the plate"
        elif before is None or apart(before, now) > STILL * image.shape[1]:
            what = "hold the plate still"
        elif not views.differs(*now):
            what = "move or tilt the plate"
        else:
            path = folder / f"{len(list(folder.glob('*.png'))):03d}.png"
            if not cv2.imwrite(str(path), image):
                raise CameraError(f"picture {path} cannot be written; is its folder there?")
            views.add(image)
            what = f"took {path.name}"
        before = now
        readout.show(f"{what}: {views.status}")


def _grey(image: Image) -> Image:
    if image.ndim == 2:
        return image
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
