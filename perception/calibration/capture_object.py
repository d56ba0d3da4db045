"""Takes pictures of an object with all cameras at once, each time it rests in a new orientation."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from inhand.perception.calibration.capture import STILL, keep, next_picture, require_empty
from inhand.perception.calibration.tag_placement import missing_views
from inhand.perception.camera.sources import Source
from inhand.perception.cameras import Camera
from inhand.perception.detection.detection import TagDetector
from inhand.perception.objects import ObjectDescription
from inhand.perception.readout import Readout
from inhand.perception.records import TagCorners

ELSEWHERE = 0.03
"""Least motion of the tags for a new picture [image widths]: that of a rotation by about 0.3 rad.
Pixels are compared and not poses, since tags that deviate from the drawing may give no pose yet."""


def capture_object(
    sources: Mapping[str, Source],
    description: ObjectDescription,
    rig: Mapping[str, Camera],
    folder: Path,
    readout: Readout,
) -> None:
    """Takes pictures until they suffice, and shows what is missing.

    Cameras need no common trigger: pictures are taken when the object is at rest in all cameras.

    Args:
        sources: the cameras, by their names in the rig.
        description: the object with its tags as drawn.
        rig: the calibrated cameras.
        folder: folder for `NAME/000.png` and so on; it must have no pictures yet.
        readout: shows the person with the object what to do.

    Raises:
        CameraError: a folder holds pictures, a source gives no more frames, or a picture cannot be
            written.
    """
    for name in sources:
        require_empty(folder / name)
    ids = tuple(tag.id for tag in description.tags)
    before: list[TagCorners] | None = None
    widths = [rig[name].width for name in sources]
    instants: list[list[TagCorners]] = []
    while lacking := missing_views(ids, instants):
        status = f"{len(instants)} instants; missing: {', '.join(lacking)}"
        images = {
            name: next_picture(source, f"{name}: {status}") for name, source in sources.items()
        }
        # New detectors: a detector searches near the last tags, and a person may turn faster.
        detectors = {name: TagDetector(rig[name], description) for name in images}
        seen = [detectors[name].detect(image, 0.0) for name, image in images.items()]
        problems = [f"{name}: {one.problem}" for name, one in detectors.items() if one.problem]
        if not any(frame.ids for frame in seen):
            what = problems[0] if problems else "show the object"
        elif before is None or _moved(before, seen, widths) > STILL:
            what = "hold the object still"
        elif any(_moved(one, seen, widths) <= ELSEWHERE for one in instants):
            what = "turn the object"
        else:
            for name, image in images.items():
                (folder / name).mkdir(parents=True, exist_ok=True)
                keep(folder / name, len(instants), image)
            instants.append(seen)
            what = f"took {len(instants) - 1:03d}.png"
        before = seen
        readout.show(f"{what}: {status}")


def _moved(before: list[TagCorners], now: list[TagCorners], widths: list[int]) -> float:
    """Median motion of the tags that a camera saw both times [image widths]; inf without any."""
    moved = [
        float(np.abs(corners - one.corners[one.ids.index(tag)]).max()) / width
        for one, other, width in zip(before, now, widths, strict=True)
        for tag, corners in zip(other.ids, other.corners, strict=True)
        if tag in one.ids
    ]
    return float(np.median(moved)) if moved else float("inf")
