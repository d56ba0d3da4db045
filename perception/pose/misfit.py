"""Diagnosis for visible tags that fit no pose: errors of the object, its file or the cameras."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from inhand.perception.cameras import Camera
from inhand.perception.objects import ObjectDescription
from inhand.perception.pose.pose import estimate_poses
from inhand.perception.pose.tag_size import print_factor, tag_factor
from inhand.perception.records import TagCorners, frozen_array

SIZES = {
    0.8: "the size in the object file is that of the picture with its white edge",
    1.25: "the tags were printed too large",
}
"""Likely wrong sizes: factor on the object file's `size`, and the cause. An official tag image is
ten modules wide with its white edge; the black square is eight."""

NEARBY = (1.0, 0.98, 1.02, 0.96, 1.04, 0.94, 1.06)
"""Factors on an estimated size that are tried: it is known to some percent."""

APART = 0.003
"""Largest distance between the places at which two cameras see an object at one place [m]."""

TURNS = {
    2: ("by 180°", "3.1416"),
    1: ("by 90° clockwise", "-1.5708"),
    3: ("by 90° counter-clockwise", "1.5708"),
}
"""Rotations of tags by number of corner steps: in words, and as `turn` in the object file [rad]."""


def misfit(
    description: ObjectDescription,
    cameras: Mapping[str, Camera],
    frames: Sequence[TagCorners],
) -> str:
    """Message why the tags of one instant fit no pose; empty if they fit, or none was detected.

    Args:
        description: the object.
        cameras: the rig.
        frames: detected tags, at most one record for each camera.
    """
    known = {tag.id for tag in description.tags}
    seen = [frame for frame in frames if known.intersection(frame.ids)]
    if not seen or estimate_poses(description, cameras, seen):
        return ""
    ids = sorted({id for frame in seen for id in frame.ids} & known)
    names = ", ".join(frame.camera for frame in seen)
    what = f"tags {ids} of {description.name} are seen ({names}), and fit no pose"
    return f"{what}: {_cause(description, cameras, seen)}"


def _cause(
    description: ObjectDescription, cameras: Mapping[str, Camera], seen: list[TagCorners]
) -> str:
    """The likely cause, and the remedy."""
    for steps, (words, turn) in TURNS.items():
        turned = [
            replace(frame, corners=frozen_array(np.roll(frame.corners, steps, axis=1)))
            for frame in seen
        ]
        if estimate_poses(description, cameras, turned):
            return (
                f"each is turned {words} from where the object file has it; glue them on as "
                f"docs/perception.md shows, or add {turn} to each `turn` in the file"
            )
    for factor, why in SIZES.items():
        tags = tuple(replace(tag, size=factor * tag.size) for tag in description.tags)
        if estimate_poses(replace(description, tags=tags), cameras, seen):
            return (
                f"they are {factor:g} times as large as the object file says, perhaps {why}; "
                "`size` is the outer edge of the black square [m]"
            )
    if text := _size(description, cameras, seen):
        return text
    if len(seen) > 1 and all(estimate_poses(description, cameras, [frame]) for frame in seen):
        return (
            "each camera alone gives a pose, so the cameras contradict each other; was one moved? "
            "Run inhand calibrate extrinsics"
        )
    return (
        "is a tag turned, of another size or in another place than the object file says? Run "
        "inhand calibrate object"
    )


def _size(
    description: ObjectDescription, cameras: Mapping[str, Camera], seen: list[TagCorners]
) -> str:
    """Message if tags, or the object with its tags, fit in another size; empty if they do not."""
    factor = tag_factor(description, cameras, seen)
    for scale in () if factor is None else [nearby * factor for nearby in NEARBY]:
        tags = tuple(replace(tag, size=scale * tag.size) for tag in description.tags)
        if estimate_poses(replace(description, tags=tags), cameras, seen):
            sizes = sorted({round(1000 * tag.size, 1) for tag in tags})
            return (
                f"they are about {scale:.2f} times as large as the object file says; measure "
                f"them, and write their `size` [m], about {sizes} mm, into the file"
            )
    factor = print_factor(description, cameras, seen)
    if factor is not None:
        tags = tuple(
            replace(tag, size=factor * tag.size, position=factor * tag.position)
            for tag in description.tags
        )
        if _agree(replace(description, tags=tags), cameras, seen):
            # Two cameras that are moved towards each other look the same.
            moved = ", or a camera was moved: run inhand calibrate extrinsics"
            return (
                f"the object with its tags is about {factor:.2f} times as large as the object "
                "file says; was it printed at 100 %? Measure the ruler on the print"
                f"{moved if len(seen) < 3 else ''}"
            )
    return ""


def _agree(
    description: ObjectDescription, cameras: Mapping[str, Camera], seen: list[TagCorners]
) -> bool:
    """Whether one pose fits, and each camera alone sees the object at its place."""
    together = estimate_poses(description, cameras, seen)
    alone = [estimate_poses(description, cameras, [frame]) for frame in seen]
    return bool(together) and all(
        any(np.linalg.norm(one.position - together[0].position) < APART for one in poses)
        for poses in alone
    )
