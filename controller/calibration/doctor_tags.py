"""`inhand doctor`: looks for the object in a camera's frames, or names why it is not found."""

import re
import time
from contextlib import closing
from dataclasses import replace

import numpy as np

from inhand.controller.estimation.eyes_check import BEYOND, apart
from inhand.hardware.findings import Finding
from inhand.perception.camera.both_eyes import BothEyes
from inhand.perception.camera.camera_process import Detector
from inhand.perception.camera.health import flaw
from inhand.perception.camera.open_source import open_source
from inhand.perception.camera.settings import DeviceSettings
from inhand.perception.cameras import Camera
from inhand.perception.detection.detection import TagDetector
from inhand.perception.errors import PerceptionError
from inhand.perception.keypoints.detector import VertexDetector
from inhand.perception.objects import ObjectDescription
from inhand.perception.pose.pose import estimate_poses
from inhand.perception.records import TagCorners, frozen_array

PATIENCE = 3.0
"""Time to wait for the frames of a camera [s]."""

FRAMES = 3
"""Number of frames that are searched: the first ones of a device may be dark."""

SEARCHED = 10
"""The same with a network, which searches a part of the workspace in each frame."""


def _seen(found: TagCorners, target: ObjectDescription) -> list[str]:
    """What a frame shows, in words."""
    tags = [f"tags {sorted(found.ids)} of {target.name}"] if found.ids else []
    by_network = found.vertices is not None
    return tags + ([f"{target.name} by the network"] if by_network else [])


def _enough(found: TagCorners, detector: Detector) -> bool:
    """Whether no further frame is needed: with both eyes, both are waited for."""
    if detector.eyes == "both":
        return bool(found.ids) and found.vertices is not None
    return found.seen


def difference(found: TagCorners, camera: Camera, target: ObjectDescription) -> str:
    """How far the network shows the object from the tags in one frame, beyond both covariances.

    Args:
        found: what the frame shows.
        camera: that took it.
        target: the object.

    Returns:
        The figure and the likely causes; empty if the eyes agree, or if one of them saw nothing.
    """
    if not found.ids or found.vertices is None:
        return ""
    rig = {camera.name: camera}
    by_tags = estimate_poses(target, rig, [replace(found, vertices=None)])
    alone = replace(found, ids=(), corners=frozen_array(found.corners[:0]))
    by_network = estimate_poses(target, rig, [alone])
    if not by_tags or not by_network:
        return ""
    differences = [apart(by_network[0], one) for one in by_tags]
    nearest = min(differences, key=lambda one: one.square)
    if nearest.square < BEYOND:
        return ""
    return (
        f"the network shows {target.name} {1e3 * nearest.shift:.1f} mm and "
        f"{np.degrees(nearest.turn):.1f}° from where the tags show it; is a tag glued elsewhere or "
        "of another size, than the object file says, or a face painted otherwise"
    )


def look_through(
    name: str,
    source: str,
    camera: Camera,
    target: ObjectDescription,
    settings: DeviceSettings | None = None,
    eyes: VertexDetector | BothEyes | None = None,
) -> Finding:
    """Reads a few frames of a camera and searches them for the object.

    Args:
        name: of the camera.
        source: its address in the configuration.
        camera: its calibration.
        target: the object that the configuration names.
        settings: of the device.
        eyes: finds the object by a network, or by both; None for tags.
    """
    what, size = f"camera {name}", (camera.width, camera.height)
    problem, seen, frames = "", "", 0
    try:
        with closing(open_source(source, size, settings, color=eyes is not None)) as opened:
            end = time.monotonic() + PATIENCE
            while frames < (SEARCHED if eyes else FRAMES) and not seen and time.monotonic() < end:
                frame = opened.read(end - time.monotonic())
                if frame is None:
                    continue
                frames += 1
                detector = eyes or TagDetector(camera, target)
                found = detector.detect(frame.image, 0.0)
                seen = " and ".join(_seen(found, target)) if _enough(found, detector) else ""
                problem = flaw(frame.image) or detector.problem
                problem = problem or difference(found, camera, target)
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
        if eyes:
            remedy = "put the object into the hand; docs/vision.md says what a network can find"
            return Finding(what, "warning", f"{source}: {target.name} is not found", remedy)
        remedy = "put the object into view, with a tag towards the camera"
        return Finding(what, "warning", f"{source}: no tag of {target.name} is seen", remedy)
    return Finding(what, "good", f"{source} sees {seen}")
