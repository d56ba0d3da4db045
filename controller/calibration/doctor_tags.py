"""`inhand doctor`: looks through a camera, and says which tags it sees or why it sees none."""

import re
import time
from contextlib import closing

from inhand.hardware.findings import Finding
from inhand.perception.camera.health import flaw
from inhand.perception.camera.open_source import open_source
from inhand.perception.camera.settings import DeviceSettings
from inhand.perception.cameras import Camera
from inhand.perception.detection.detection import TagDetector
from inhand.perception.errors import PerceptionError
from inhand.perception.objects import ObjectDescription

PATIENCE = 3.0
"""Time to wait for the frames of a camera [s]."""

FRAMES = 3
"""Number of frames that are searched: the first ones of a device may be dark."""


def look_through(
    name: str,
    source: str,
    camera: Camera,
    target: ObjectDescription,
    settings: DeviceSettings | None = None,
) -> Finding:
    """Reads a few frames of a camera and searches them for tags.

    Args:
        name: of the camera.
        source: its address in the configuration.
        camera: its calibration.
        target: the object that the configuration names.
        settings: of the device.
    """
    what = f"camera {name}"
    problem, seen, frames = "", set[int](), 0
    try:
        with closing(open_source(source, (camera.width, camera.height), settings)) as opened:
            end = time.monotonic() + PATIENCE
            while frames < FRAMES and not seen and time.monotonic() < end:
                frame = opened.read(end - time.monotonic())
                if frame is None:
                    continue
                frames += 1
                detector = TagDetector(camera, target)
                seen.update(detector.detect(frame.image, 0.0).ids)
                problem = flaw(frame.image) or detector.problem
    except PerceptionError as error:
        remedy = "if inhandd is running, end it first: it holds the cameras"
        return Finding(what, "bad", str(error), remedy)
    if not frames:
        remedy = "check the cable and the address of the source; end inhandd if it is running"
        return Finding(what, "bad", f"{source} gave no frame in {PATIENCE:g} s", remedy)
    if problem:
        # Problems are a finding, and what to do about it after a colon or semicolon.
        fault, *more = re.split("[;:] ", problem, maxsplit=1)
        said = more[0] if more else "docs/perception.md says more"
        return Finding(what, "warning", f"{source}: {fault}", said)
    if not seen:
        remedy = "put the object into view, with a tag towards the camera"
        return Finding(what, "warning", f"{source}: no tag of {target.name} is seen", remedy)
    return Finding(what, "good", f"{source} sees tags {sorted(seen)} of {target.name}")
