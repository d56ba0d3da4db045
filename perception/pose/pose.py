"""Object pose from tags or vertices in several cameras: robust least squares over all corners.

One pose of the known object is fitted to all corners of one instant. The two-fold ambiguity of a
square remains only if one camera sees one face; then both solutions are returned.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from inhand.perception import rotations
from inhand.perception.cameras import Camera
from inhand.perception.errors import PerceptionError
from inhand.perception.objects import ObjectDescription, Tag
from inhand.perception.pose.refine_pose import Corners, Pose, Sighting, gather, refine, rough_costs
from inhand.perception.pose.tag_pose import tag_poses
from inhand.perception.pose.vertex_pose import vertex_pose
from inhand.perception.records import TagCorners, frozen_array
from inhand.perception.rotations import Array

SEEDS = 3
"""Number of tags, largest first, whose poses are initial values."""

MAXIMUM_RESIDUAL = 1.0
"""Largest residual of a pose, unless the corners' noise is larger [px]. It is larger if the visible
part of a covered tag was detected as a whole tag."""

WELL = 5.0
"""Cost a corner up to which all corners fit one pose. It is 1 to 2 as a rule, and 9 or more if one
of three cameras is turned by 0.3°."""

VERTEX_WELL, VERTEX_TAIL = 2.5, 4.0
"""Cost a vertex up to which no other pose is looked for, and up to which one is not refused. It is
1.7 if the deviations are right: two coordinates, and what the robust cost leaves of them."""

AMBIGUITY = 0.2
"""Least rotation between two solutions for one face that count as different [rad]."""


@dataclass(frozen=True)
class PoseEstimate:
    """One pose that fits the corners.

    Attributes:
        position: world frame [m], (3,).
        quaternion: world from object, wxyz, (4,).
        covariance: of position and rotation in the world frame, (6, 6) [m, rad], from the noise of
            the corners and the declared deviations of the cameras.
        residual: weighted root mean square of the reprojection errors [px].
        cost: robust sum of squared residuals in standard deviations; lower is better.
        corners: number of corners used.
        cameras: number of cameras that saw them.
        sensitivity: error of the pose by the errors of all cameras of the rig, in its order, each
            camera's turn, place and focal length in its declared deviations, (6, 7 cameras);
            None if no camera has any. These errors are the same at all times; `covariance`
            contains them.
    """

    position: Array
    quaternion: Array
    covariance: Array
    residual: float
    cost: float
    corners: int
    cameras: int
    sensitivity: Array | None = None


def estimate_poses(
    description: ObjectDescription,
    cameras: Mapping[str, Camera],
    frames: Iterable[TagCorners],
    guess: Pose | None = None,
) -> tuple[PoseEstimate, ...]:
    """Finds the object.

    Args:
        description: the object.
        cameras: the rig.
        frames: of one instant, at most one record for each camera. Vertices are used if no tag was
            seen: tags are more exact.
        guess: where the object may be; if the corners fit there, no other initial value is tried.

    Returns:
        Poses, the best first: none without tags or vertices, two if one face in one camera is
        ambiguous.

    Raises:
        PerceptionError: a record names a camera that the rig does not have.
    """
    known = [(_camera(cameras, frame), frame) for frame in frames]
    own = {tag.id: tag for tag in description.tags}
    tags = [
        (camera, own[tag], corners)
        for camera, frame in known
        for tag, corners in zip(frame.ids, frame.corners, strict=True)
        if tag in own
    ]
    if not tags:
        return _by_vertices(description, cameras, known, guess)
    # All tags of a frame together: it is the number of calls that takes the time.
    seen = [sighting for camera, frame in known if (sighting := _of_tags(camera, frame, own))]
    corners = gather(seen)
    used = list(dict.fromkeys(camera.name for camera, *_ in seen))
    count = len(used)
    shared = _shared(cameras, used, corners)
    unambiguous = count > 1 or not _coplanar(corners.points)
    if guess is not None and unambiguous:
        found = _fitted(corners, guess, count, shared)
        if found is not None and found.cost <= WELL * found.corners:
            return (found,)
    largest = sorted(tags, key=lambda one: -cv2.contourArea(one[2].astype(np.float32)))
    seeds = [
        pose for camera, tag, pixels in largest[:SEEDS] for pose in tag_poses(camera, tag, pixels)
    ]
    if not seeds:
        return ()
    costs = rough_costs(corners, seeds)
    order = [index for index in np.argsort(costs).tolist() if np.isfinite(costs[index])]
    if not order:
        return ()
    best = _fitted(corners, seeds[order[0]], count, shared)
    if best is None:
        return ()
    if unambiguous:
        return (best,)
    for index in order[1:]:
        other = _fitted(corners, seeds[index], count, shared)
        if other is not None and _differ(best, other):
            return (best, other) if best.cost <= other.cost else (other, best)
    return (best,)


def _of_tags(camera: Camera, frame: TagCorners, own: Mapping[int, Tag]) -> Sighting | None:
    """The corners of the object's own tags in a frame, in its order; None if there is none."""
    rows = [row for row, tag in enumerate(frame.ids) if tag in own]
    if not rows:
        return None
    points = np.concatenate([own[frame.ids[row]].corners for row in rows])
    return camera, points, frame.corners[rows].reshape(-1, 2), frame.noise


def _by_vertices(
    description: ObjectDescription,
    cameras: Mapping[str, Camera],
    frames: Sequence[tuple[Camera, TagCorners]],
    guess: Pose | None,
) -> tuple[PoseEstimate, ...]:
    """The pose from vertices, if one fits them; its covariance grows with their misfit."""
    seen = [
        (camera, frame.vertices[:, :2], frame.vertices[:, 2])
        for camera, frame in frames
        if frame.vertices is not None and len(frame.vertices) == len(description.vertices)
    ]
    if not seen:
        return ()
    points = description.vertices
    corners = gather([(camera, points, pixels, noise) for camera, pixels, noise in seen])
    shared = _shared(cameras, [camera.name for camera, *_ in seen], corners)
    best = None if guess is None else _fitted(corners, guess, len(seen), shared)
    if best is None or best.cost > VERTEX_WELL * best.corners:
        alone = [vertex_pose(camera, description, pixels) for camera, pixels, _ in seen]
        if seeds := [seed for seed in alone if seed is not None]:
            seed = seeds[int(np.argmin(rough_costs(corners, seeds)))]
            anew = _fitted(corners, seed, len(seen), shared)
            best = min((one for one in (best, anew) if one), key=lambda one: one.cost, default=None)
    if best is None or not best.cost <= VERTEX_TAIL * best.corners:
        return ()
    cost = best.cost / best.corners
    return (replace(best, covariance=frozen_array(best.covariance * max(1.0, cost / 2))),)


def _shared(
    cameras: Mapping[str, Camera], used: Sequence[str], corners: Corners
) -> "_Shared | None":
    """The place of the used cameras' errors among the rig's; None if no camera has any."""
    if not len(corners.loose):
        return None
    names = list(cameras)
    places = np.concatenate([7 * names.index(name) + np.arange(7) for name in used])
    return _Shared(7 * len(names), places)


def _camera(cameras: Mapping[str, Camera], frame: TagCorners) -> Camera:
    if frame.camera not in cameras:
        raise PerceptionError(
            f"tag corners from camera {frame.camera!r}, which the rig does not have; it has "
            f"{', '.join(cameras)}"
        )
    return cameras[frame.camera]


@dataclass(frozen=True)
class _Shared:
    """Number of the rig's camera errors, and the places of the used cameras' errors in it."""

    count: int
    places: NDArray[np.intp]


def _fitted(
    corners: Corners, seed: Pose, cameras: int, shared: _Shared | None
) -> PoseEstimate | None:
    """The best pose from an initial value; None if its residual is too large."""
    found = refine(corners, seed)
    if found is None or found.residual > max(MAXIMUM_RESIDUAL, 4 * float(corners.noise.mean())):
        return None
    position, rotation = found.pose
    sensitivity = None
    if shared is not None:
        sensitivity = np.zeros((6, shared.count))
        sensitivity[:, shared.places] = found.sensitivity
    return PoseEstimate(
        position=frozen_array(position),
        quaternion=frozen_array(rotations.from_matrix(rotation)),
        covariance=frozen_array(found.covariance),
        residual=found.residual,
        cost=found.cost,
        corners=len(corners.points),
        cameras=cameras,
        sensitivity=None if sensitivity is None else frozen_array(sensitivity),
    )


def _coplanar(points: Array) -> bool:
    """Whether all corners lie in one plane."""
    return bool(np.linalg.svd(points - points.mean(axis=0), compute_uv=False)[2] < 1e-6)


def _differ(one: PoseEstimate, other: PoseEstimate) -> bool:
    return float(rotations.angle_between(one.quaternion, other.quaternion)) > AMBIGUITY
