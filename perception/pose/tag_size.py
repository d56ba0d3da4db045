"""Estimates the true size of tags, relative to the object file, from where they are seen.

A tag that is smaller than the file says is seen too far away. That does not show with one tag in
one camera. But all distances from the camera are wrong by the same factor, which is found from the
distance between two tags, or from a tag that two cameras see.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np

from inhand.perception.cameras import Camera
from inhand.perception.objects import ObjectDescription
from inhand.perception.pose.tag_pose import tag_poses
from inhand.perception.records import TagCorners
from inhand.perception.rotations import Array

LEAST_FACTOR, LARGEST_FACTOR = 0.3, 3.0

Seen = tuple[Camera, int, Array]
"""A camera, a tag that it sees, and the tag's centre if it had the size in the file [m], (3,)."""


def tag_factor(
    description: ObjectDescription, cameras: Mapping[str, Camera], frames: Sequence[TagCorners]
) -> float | None:
    """Factor on all tags' `size` that the views suggest; None if they suggest none.

    Args:
        description: the object; the tags' places on it are right.
        cameras: the rig.
        frames: detected tags of one instant, at most one record for each camera.
    """
    seen = list(_seen(description, cameras, frames))
    return _middle([*_by_distance(description, seen), *_by_cameras(seen)])


def print_factor(
    description: ObjectDescription, cameras: Mapping[str, Camera], frames: Sequence[TagCorners]
) -> float | None:
    """Factor on the whole object, if it was printed too large or too small; None if unknown.

    Only cameras that see the same tag show it. Arguments as for `tag_factor`.
    """
    return _middle(list(_by_cameras(list(_seen(description, cameras, frames)))))


def _middle(factors: list[float]) -> float | None:
    sound = [factor for factor in factors if LEAST_FACTOR < factor < LARGEST_FACTOR]
    return float(np.median(sound)) if sound else None


def _seen(
    description: ObjectDescription, cameras: Mapping[str, Camera], frames: Sequence[TagCorners]
) -> Iterator[Seen]:
    known = {tag.id: tag for tag in description.tags}
    for frame in frames:
        camera = cameras[frame.camera]
        for id, corners in zip(frame.ids, frame.corners, strict=True):
            if id in known:
                for position, rotation in tag_poses(camera, known[id], corners)[:1]:
                    yield camera, id, position + rotation @ known[id].position


def _by_distance(description: ObjectDescription, seen: list[Seen]) -> Iterator[float]:
    for (camera, one, place), (other_camera, other, other_place) in combinations(seen, 2):
        if camera is other_camera:
            true = np.linalg.norm(description.tag(one).position - description.tag(other).position)
            yield float(true / max(float(np.linalg.norm(place - other_place)), 1e-9))


def _by_cameras(seen: list[Seen]) -> Iterator[float]:
    for (camera, one, place), (other_camera, other, other_place) in combinations(seen, 2):
        if one == other and camera is not other_camera:
            apart = (place - camera.position) - (other_place - other_camera.position)
            between = other_camera.position - camera.position
            yield float(apart @ between / max(float(apart @ apart), 1e-12))
