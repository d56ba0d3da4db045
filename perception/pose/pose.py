"""Tag corners of several cameras to one object pose: robust pooled least squares.

All corners that were seen at one instant are explained by one pose of the known object. No tag
is posed alone, so the two-fold ambiguity of a square remains only where a single face is all
that a single camera sees; both solutions are then returned.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from inhand.perception import rotations
from inhand.perception.cameras import Camera
from inhand.perception.errors import PerceptionError
from inhand.perception.objects import ObjectDescription
from inhand.perception.pose.refine_pose import Corners, Pose, gather, refine, rough_costs
from inhand.perception.pose.tag_pose import tag_poses
from inhand.perception.records import TagCorners, frozen_array
from inhand.perception.rotations import Array

SEEDS = 3
"""Tags, largest first, whose own poses the search starts from."""

MAXIMUM_RESIDUAL = 1.0
"""A pose that leaves its corners further off than this, and than their noise, explains something
else [px]: a tag half behind a finger whose visible part passed for a tag."""

AMBIGUITY = 0.2
"""Turn by which two solutions for one face must differ to count as two [rad]."""


@dataclass(frozen=True)
class PoseEstimate:
    """One pose that explains the corners.

    Attributes:
        position: world frame [m], (3,).
        quaternion: world from object, wxyz, (4,).
        covariance: of position and rotation in the world frame, (6, 6) [m, rad]: by the noise of
            the corners and by what the cameras are declared to be uncertain by.
        residual: weighted root mean square of the corners' distances [px].
        cost: robust sum of squared residuals in standard deviations; lower is better.
        corners: how many corners it rests on.
        cameras: how many cameras saw them.
    """

    position: Array
    quaternion: Array
    covariance: Array
    residual: float
    cost: float
    corners: int
    cameras: int


def estimate_poses(
    description: ObjectDescription,
    cameras: Mapping[str, Camera],
    frames: Iterable[TagCorners],
) -> tuple[PoseEstimate, ...]:
    """Finds the object.

    Args:
        description: its tags.
        cameras: the rig.
        frames: what was seen at one instant, at most one record a camera.

    Returns:
        Poses, the best first: none without tags, two where one face in one camera leaves two.

    Raises:
        PerceptionError: a record names a camera that the rig does not have.
    """
    seen = [
        (_camera(cameras, frame), description.tag(tag), corners, frame.noise)
        for frame in frames
        for tag, corners in zip(frame.ids, frame.corners, strict=True)
        if any(tag == known.id for known in description.tags)
    ]
    if not seen:
        return ()
    corners = gather(seen)
    largest = sorted(seen, key=lambda one: -cv2.contourArea(one[2].astype(np.float32)))
    seeds = [
        pose
        for camera, tag, pixels, _ in largest[:SEEDS]
        for pose in tag_poses(camera, tag, pixels)
    ]
    if not seeds:
        return ()
    costs = rough_costs(corners, seeds)
    order = [index for index in np.argsort(costs).tolist() if np.isfinite(costs[index])]
    if not order:
        return ()
    count = len({camera.name for camera, *_ in seen})
    best = _believable(corners, seeds[order[0]], count)
    if best is None:
        return ()
    if count > 1 or not _coplanar(corners.points):
        return (best,)
    for index in order[1:]:
        other = _believable(corners, seeds[index], count)
        if other is not None and _differ(best, other):
            return (best, other) if best.cost <= other.cost else (other, best)
    return (best,)


def _camera(cameras: Mapping[str, Camera], frame: TagCorners) -> Camera:
    if frame.camera not in cameras:
        raise PerceptionError(
            f"tag corners from camera {frame.camera!r}, which the rig does not have; it has "
            f"{', '.join(cameras)}"
        )
    return cameras[frame.camera]


def _believable(corners: Corners, seed: Pose, cameras: int) -> PoseEstimate | None:
    """The best pose from a first guess; None where none explains the corners well enough."""
    found = refine(corners, seed)
    if found is None or found.residual > max(MAXIMUM_RESIDUAL, 4 * float(corners.noise.mean())):
        return None
    position, rotation = found.pose
    return PoseEstimate(
        position=frozen_array(position),
        quaternion=frozen_array(rotations.from_matrix(rotation)),
        covariance=frozen_array(found.covariance),
        residual=found.residual,
        cost=found.cost,
        corners=len(corners.points),
        cameras=cameras,
    )


def _coplanar(points: Array) -> bool:
    """Whether all corners lie in one plane."""
    return bool(np.linalg.svd(points - points.mean(axis=0), compute_uv=False)[2] < 1e-6)


def _differ(one: PoseEstimate, other: PoseEstimate) -> bool:
    return float(rotations.angle_between(one.quaternion, other.quaternion)) > AMBIGUITY
