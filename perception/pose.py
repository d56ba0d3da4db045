"""Tag corners of several cameras to one object pose: robust pooled least squares.

All corners that were seen at one instant are explained by one pose of the known object. No tag
is posed alone, so the two-fold ambiguity of a square remains only where a single face is all
that a single camera sees; both solutions are then returned.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from perception import rotations
from perception.cameras import Camera
from perception.errors import PerceptionError
from perception.objects import ObjectDescription, Tag
from perception.records import TagCorners, frozen_array
from perception.rotations import Array

ITERATIONS = 12
CONVERGED = 3e-6
"""Step at which the search ends [m, rad]: a tenth of the best accuracy seen."""

SEEDS = 3
"""Tags, largest first, whose own poses the search starts from."""

OUTLIER_SCALE = 2.5
"""Residual, in standard deviations, from which a corner loses weight (Cauchy)."""

MAXIMUM_RESIDUAL = 1.0
"""A pose that leaves its corners further off than this, and than their noise, explains something
else [px]: a tag half behind a finger whose visible part passed for a tag."""

AMBIGUITY = 0.2
"""Turn by which two solutions for one face must differ to count as two [rad]."""


_Pose = tuple[Array, Array]
"""Position (3,) [m] and rotation (3, 3), world from object."""


@dataclass(frozen=True)
class PoseEstimate:
    """One pose that explains the corners.

    Attributes:
        position: world frame [m], (3,).
        quaternion: world from object, wxyz, (4,).
        covariance: of position and rotation in the world frame, (6, 6) [m, rad].
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


@dataclass(frozen=True)
class _Corners:
    """Corners of all cameras, row by row: m of them."""

    points: Array  # object frame, (m, 3)
    rays: Array  # x/z and y/z in the camera frame, undistorted, (m, 2)
    camera_from_world: Array  # (m, 3, 3)
    lenses: Array  # world frame, (m, 3)
    focal_lengths: Array  # [px], (m,)
    noise: Array  # [px], (m,)


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
    corners = _gather(seen)
    largest = sorted(seen, key=lambda one: -cv2.contourArea(one[2].astype(np.float32)))
    seeds = [
        pose for camera, tag, pixels, _ in largest[:SEEDS] for pose in _poses(camera, tag, pixels)
    ]
    costs = [_cost(corners, pose) for pose in seeds]
    order = [int(index) for index in np.argsort(costs) if np.isfinite(costs[index])]
    if not order:
        return ()
    count = len({camera.name for camera, *_ in seen})
    best = _refine(corners, seeds[order[0]], count)
    if best is None:
        return ()
    if count > 1 or not _coplanar(corners.points):
        return (best,)
    for index in order[1:]:
        other = _refine(corners, seeds[index], count)
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


def _gather(seen: list[tuple[Camera, Tag, Array, float]]) -> _Corners:
    size = 4 * len(seen)
    result = _Corners(
        points=np.empty((size, 3)),
        rays=np.empty((size, 2)),
        camera_from_world=np.empty((size, 3, 3)),
        lenses=np.empty((size, 3)),
        focal_lengths=np.empty(size),
        noise=np.empty(size),
    )
    for i, (camera, tag, pixels, noise) in enumerate(seen):
        rows = slice(4 * i, 4 * i + 4)
        result.points[rows] = tag.corners
        result.rays[rows] = camera.normalize(pixels)
        result.camera_from_world[rows] = rotations.to_matrix(camera.quaternion).T
        result.lenses[rows] = camera.position
        result.focal_lengths[rows] = camera.focal_length
        result.noise[rows] = noise
    return result


def _poses(camera: Camera, tag: Tag, pixels: Array) -> list[_Pose]:
    """World poses of the object that one tag in one camera suggests (IPPE gives two)."""
    half = tag.size / 2
    square = np.array([[-half, half, 0], [half, half, 0], [half, -half, 0], [-half, -half, 0]])
    count, turns, shifts, _ = cv2.solvePnPGeneric(
        square,
        camera.normalize(pixels),
        np.eye(3),
        np.zeros(5),
        flags=cv2.SOLVEPNP_IPPE_SQUARE,
    )
    world_from_camera = rotations.to_matrix(camera.quaternion)
    tag_from_object = rotations.to_matrix(tag.quaternion).T
    poses = []
    for turn, shift in zip(turns[:count], shifts[:count], strict=True):
        rotation = world_from_camera @ _matrix(turn) @ tag_from_object
        center = camera.position + world_from_camera @ np.asarray(shift, dtype=np.float64).ravel()
        position = center - rotation @ tag.position
        if np.isfinite(position).all() and np.isfinite(rotation).all():
            poses.append((position, rotation))
    return poses


def _matrix(rotation_vector: NDArray[Any]) -> Array:
    """Rotation matrix, (3, 3), of a rotation vector [rad], (3,) or (3, 1)."""
    return np.asarray(cv2.Rodrigues(rotation_vector)[0], dtype=np.float64)


def _residuals(corners: _Corners, pose: _Pose) -> tuple[Array, Array, Array]:
    """Reprojection errors.

    Returns:
        residual: seen minus expected [px], (m, 2).
        arms: corners from the object's centre, world axes [m], (m, 3).
        local: corners in their camera's frame [m], (m, 3).
    """
    position, rotation = pose
    arms = corners.points @ rotation.T
    local = (corners.camera_from_world @ (arms + (position - corners.lenses))[:, :, None])[..., 0]
    residual = (corners.rays - local[:, :2] / local[:, 2:]) * corners.focal_lengths[:, None]
    return residual, arms, local


def _cost(corners: _Corners, pose: _Pose) -> float:
    """Robust cost of a pose; infinite if a corner would lie behind its camera."""
    residual, _, local = _residuals(corners, pose)
    if local[:, 2].min() <= 0.01:
        return float("inf")
    return _robust_cost(residual, corners.noise)


def _robust_cost(residual: Array, sigma: Array) -> float:
    scaled = np.einsum("mi,mi->m", residual, residual) / (sigma * OUTLIER_SCALE) ** 2
    return float(OUTLIER_SCALE**2 * np.log1p(scaled).sum())


def _refine(corners: _Corners, pose: _Pose, cameras: int) -> PoseEstimate | None:
    """Iteratively reweighted Gauss-Newton; None where no pose explains the corners."""
    for _ in range(ITERATIONS):
        residual, arms, local = _residuals(corners, pose)
        if local[:, 2].min() <= 0.01:
            return None
        square = np.einsum("mi,mi->m", residual, residual)
        # Far from the solution the noise says nothing yet: the residuals' own scale does.
        typical = (float(np.median(square)) / 1.386) ** 0.5
        sigma = np.maximum(corners.noise, typical)
        weight = 1.0 / (1.0 + square / (sigma * OUTLIER_SCALE) ** 2)
        jacobian = _jacobian(corners, arms, local).reshape(-1, 6)
        weighted = (jacobian * np.repeat(weight / sigma**2, 2)[:, None]).T
        information = weighted @ jacobian
        try:
            step = np.linalg.solve(information, weighted @ residual.ravel())
        except np.linalg.LinAlgError:
            return None
        pose = (pose[0] + step[:3], _matrix(step[3:]) @ pose[1])
        if np.abs(step).max() < CONVERGED:
            break
    try:
        covariance = np.linalg.inv(information)
    except np.linalg.LinAlgError:
        return None
    if not np.isfinite(covariance).all():
        return None
    distance = float(np.sqrt((weight * square).sum() / weight.sum()))
    if distance > max(MAXIMUM_RESIDUAL, 4 * float(corners.noise.mean())):
        return None
    return PoseEstimate(
        position=frozen_array(pose[0]),
        quaternion=frozen_array(rotations.from_matrix(pose[1])),
        covariance=frozen_array((covariance + covariance.T) / 2),
        residual=distance,
        cost=_robust_cost(residual, corners.noise),
        corners=len(corners.points),
        cameras=cameras,
    )


def _jacobian(corners: _Corners, arms: Array, local: Array) -> Array:
    """Derivative of the expected pixel by position and world rotation, (m, 2, 6)."""
    projection = np.zeros((len(arms), 2, 3))
    scale = corners.focal_lengths / local[:, 2]
    projection[:, 0, 0] = projection[:, 1, 1] = scale
    projection[:, :, 2] = -local[:, :2] / local[:, 2:] * scale[:, None]
    shift = projection @ corners.camera_from_world
    skew = np.zeros((len(arms), 3, 3))
    skew[:, 0, 1], skew[:, 0, 2], skew[:, 1, 2] = -arms[:, 2], arms[:, 1], -arms[:, 0]
    skew -= skew.transpose(0, 2, 1)
    return np.concatenate([shift, -shift @ skew], axis=-1)


def _coplanar(points: Array) -> bool:
    """Whether all corners lie in one plane."""
    return bool(np.linalg.svd(points - points.mean(axis=0), compute_uv=False)[2] < 1e-6)


def _differ(one: PoseEstimate, other: PoseEstimate) -> bool:
    return float(rotations.angle_between(one.quaternion, other.quaternion)) > AMBIGUITY
