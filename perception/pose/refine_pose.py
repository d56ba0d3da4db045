"""Least squares of a pose: corners of several cameras, one object, cameras with declared errors.

If a camera has declared deviations, its position, rotation and focal length are unknowns with
these deviations as prior (Triggs et al., "Bundle adjustment: a modern synthesis", on priors). The
pose's covariance then includes the calibration's uncertainty, which all corners share.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inhand.perception.cameras import Camera
from inhand.perception.rotations import Array

ITERATIONS = 12
CONVERGED = np.repeat([3e-5, 3e-4], 3)
"""Step size at which the iteration ends [m, rad]: a tenth of the best measured accuracy. The error
that is left is smaller, as each step is a fraction of the one before."""

OUTLIER_SCALE = 2.5
"""Residual, in standard deviations, from which a corner loses weight (Cauchy)."""

NEAREST = 0.01
"""Least distance of a corner from a lens [m]."""

Pose = tuple[Array, Array]
"""Position (3,) [m] and rotation (3, 3), world from object."""

Sighting = tuple[Camera, Array, Array, float | Array]
"""Points of the object in a camera: object frame [m], (k, 3), pixels, (k, 2), and the noise of a
coordinate [px], (k,) or one for all."""


@dataclass(frozen=True)
class Corners:
    """Corners of all cameras, row by row: m of them.

    Attributes:
        points: object frame [m], (m, 3).
        rays: x/z and y/z in the camera's frame, undistorted, (m, 2).
        camera: index into the cameras, (m,).
        camera_from_world: (m, 3, 3).
        lenses: world frame [m], (m, 3).
        focal_lengths: [px], (m,).
        noise: standard deviation [px], (m,).
        sigmas: of each camera's turn [rad], place [m] and relative focal length, (cameras, 7).
        stretch: how much an image is magnified at each corner, relative to `focal_lengths`,
            (m, 2, 2); None if no lens is wide.
    """

    points: Array
    rays: Array
    camera: NDArray[np.intp]
    camera_from_world: Array
    lenses: Array
    focal_lengths: Array
    noise: Array
    sigmas: Array
    stretch: Array | None = None

    @cached_property
    def loose(self) -> NDArray[np.intp]:
        """The cameras' parameters that are unknowns, as indices into `sigmas.ravel()`."""
        return np.flatnonzero(self.sigmas.ravel())


@dataclass(frozen=True)
class Solution:
    """The pose with the least cost.

    Attributes:
        pose: world from object.
        covariance: of position and world rotation, (6, 6) [m, rad].
        residual: weighted root mean square of the reprojection errors [px].
        cost: robust sum of squares in standard deviations; lower is better.
        sensitivity: error of the pose by each camera's errors, which are in standard deviations
            and in the order of `Corners.sigmas`, (6, 7 cameras); `covariance` contains it.
    """

    pose: Pose
    covariance: Array
    residual: float
    cost: float
    sensitivity: Array


def gather(seen: Sequence[Sighting]) -> Corners:
    """Arranges sightings in rows, one for each corner."""
    ends = np.cumsum([len(points) for _, points, *_ in seen])
    size = int(ends[-1])
    cameras = list({camera.name: camera for camera, *_ in seen}.values())
    names = [camera.name for camera in cameras]
    result = Corners(
        points=np.empty((size, 3)),
        rays=np.empty((size, 2)),
        camera=np.empty(size, dtype=np.intp),
        camera_from_world=np.empty((size, 3, 3)),
        lenses=np.empty((size, 3)),
        focal_lengths=np.empty(size),
        noise=np.empty(size),
        sigmas=np.array(
            [3 * [c.rotation_sigma] + 3 * [c.position_sigma] + [c.focal_sigma] for c in cameras]
        ),
    )
    for (camera, points, pixels, noise), end in zip(seen, ends, strict=True):
        rows = slice(end - len(points), end)
        result.points[rows] = points
        result.rays[rows] = camera.normalize(pixels)
        result.camera[rows] = names.index(camera.name)
        result.camera_from_world[rows] = camera.rotation.T
        result.lenses[rows] = camera.position
        result.focal_lengths[rows] = camera.focal_length
        result.noise[rows] = noise
    if not any(camera.lens.wide for camera in cameras):
        return result
    stretch = np.tile(np.eye(2), (size, 1, 1))
    for k, camera in enumerate(cameras):
        if camera.lens.wide:
            mine = result.camera == k
            stretch[mine] = camera.lens.stretch(result.rays[mine]) / camera.focal_length
    return replace(result, stretch=stretch)


def rough_costs(corners: Corners, poses: Sequence[Pose]) -> Array:
    """Robust costs of poses, (n,), with calibrated cameras and their declared deviations as noise.

    Infinite if a corner would lie behind its camera.
    """
    together = np.array([place for place, _ in poses]), np.array([turn for _, turn in poses])
    residual, _, local = _residuals(corners, together, np.zeros_like(corners.sigmas))
    depth = np.maximum(local[..., 2], NEAREST)
    turn, place = corners.sigmas[corners.camera, 0], corners.sigmas[corners.camera, 3]
    away = corners.focal_lengths * np.hypot(turn, place / depth)
    costs = _robust_cost(residual, np.hypot(corners.noise, away))
    return np.where((local[..., 2] > NEAREST).all(axis=-1), costs, np.inf)


def refine(corners: Corners, pose: Pose) -> Solution | None:
    """Iteratively reweighted Gauss-Newton from an initial pose; None if it does not converge."""
    offsets = np.zeros_like(corners.sigmas)
    loose = corners.loose
    prior = np.zeros(6 + len(loose))
    prior[6:] = corners.sigmas.ravel()[loose] ** -2.0
    for _ in range(ITERATIONS):
        residual, arms, local = _residuals(corners, pose, offsets)
        if local[:, 2].min() <= NEAREST:
            return None
        square = np.einsum("mi,mi->m", residual, residual)
        # Far from the solution residuals are larger than the noise: their median is the scale.
        typical = (_median(square) / 1.386) ** 0.5
        sigma = np.maximum(corners.noise, typical)
        weight = 1.0 / (1.0 + square / (sigma * OUTLIER_SCALE) ** 2)
        jacobian = _jacobian(corners, arms, local, offsets)
        weighted = (jacobian * np.repeat(weight / sigma**2, 2)[:, None]).T
        information = weighted @ jacobian
        pull = weighted @ residual.ravel()
        if len(loose):
            information.flat[:: len(prior) + 1] += prior
            pull[6:] -= prior[6:] * offsets.flat[loose]
        try:
            step = np.linalg.solve(information, pull)
        except np.linalg.LinAlgError:
            return None
        pose = (pose[0] + step[:3], matrix(step[3:6]) @ pose[1])
        offsets.flat[loose] += step[6:]
        if (np.abs(step[:6]) < CONVERGED).all():
            break
    try:
        inverse = np.linalg.inv(information)
    except np.linalg.LinAlgError:
        return None
    if not np.isfinite(inverse).all():
        return None
    covariance = inverse[:6, :6]
    # The part of a camera's error that the corners did not reveal moves the pose.
    sensitivity = np.zeros((6, corners.sigmas.size))
    sensitivity[:, loose] = -inverse[:6, 6:] / corners.sigmas.ravel()[loose]
    return Solution(
        pose=pose,
        covariance=(covariance + covariance.T) / 2,
        residual=float(np.sqrt((weight * square).sum() / weight.sum())),
        cost=float(_robust_cost(residual, corners.noise))
        + float(prior[6:] @ offsets.flat[loose] ** 2),
        sensitivity=sensitivity,
    )


def _median(values: Array) -> float:
    """Median of a few numbers, (n,): np.median takes several times as long."""
    ordered = np.sort(values)
    return float(ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def matrix(rotation_vector: NDArray[Any]) -> Array:
    """Rotation matrix, (3, 3), of a rotation vector [rad], (3,) or (3, 1)."""
    return np.asarray(cv2.Rodrigues(rotation_vector)[0], dtype=np.float64)


def _residuals(corners: Corners, pose: Pose, offsets: Array) -> tuple[Array, Array, Array]:
    """Reprojection errors.

    Args:
        corners: what was seen.
        pose: world from object; one, or several along leading axes.
        offsets: errors of each camera: rotation and position in its own frame, relative focal
            length, (cameras, 7).

    Returns:
        residual: measured minus expected [px], (..., m, 2).
        arms: corners from the object's centre, world axes [m], (..., m, 3).
        local: corners in the frame of the camera with its offsets [m], (..., m, 3).
    """
    position, rotation = pose
    arms = corners.points @ rotation.swapaxes(-1, -2)
    away = arms + (position[..., None, :] - corners.lenses)
    local = (corners.camera_from_world @ away[..., None])[..., 0]
    expected_scale: Array | float = 1.0
    if offsets.any():
        back = np.stack([matrix(-turn) for turn in offsets[:, :3]])[corners.camera]
        local = (back @ (local - offsets[corners.camera, 3:6])[..., None])[..., 0]
        expected_scale = 1.0 + offsets[corners.camera, 6, None]
    expected = local[..., :2] / local[..., 2:] * expected_scale
    residual = (corners.rays - expected) * corners.focal_lengths[:, None]
    if corners.stretch is not None:
        residual = (corners.stretch @ residual[..., None])[..., 0]
    return residual, arms, local


def _jacobian(corners: Corners, arms: Array, local: Array, offsets: Array) -> Array:
    """Derivative of the expected pixel by position, world rotation and `loose`, (2 m, n).

    It is exact for rotated cameras. An approximate derivative gives a too small covariance in the
    direction in which pose and cameras move together, which the corners do not determine.
    """
    projection = np.zeros((len(arms), 2, 3))
    scale = corners.focal_lengths / local[:, 2]
    if offsets.any():
        scale = scale * (1.0 + offsets[corners.camera, 6])
    projection[:, 0, 0] = projection[:, 1, 1] = scale
    projection[:, :, 2] = -local[:, :2] / local[:, 2:] * scale[:, None]
    if corners.stretch is not None:
        projection = corners.stretch @ projection
    if not len(corners.loose):
        shift = projection @ corners.camera_from_world
        return np.concatenate([shift, -shift @ _skew(arms)], axis=-1).reshape(-1, 6)
    back = np.stack([matrix(-turn) for turn in offsets[:, :3]])[corners.camera]
    place = projection @ back
    shift = place @ corners.camera_from_world
    by_pose = np.concatenate([shift, -shift @ _skew(arms)], axis=-1).reshape(-1, 6)
    right = np.stack([_right_jacobian(turn) for turn in offsets[:, :3]])[corners.camera]
    by_focal = local[:, :2] / local[:, 2:] * corners.focal_lengths[:, None]
    if corners.stretch is not None:
        by_focal = (corners.stretch @ by_focal[..., None])[..., 0]
    own = np.concatenate([projection @ _skew(local) @ right, -place, by_focal[:, :, None]], axis=-1)
    cameras = len(corners.sigmas)
    by_camera = np.zeros((len(arms), 2, cameras, 7))
    by_camera[np.arange(len(arms)), :, corners.camera] = own
    return np.hstack([by_pose, by_camera.reshape(-1, 7 * cameras)[:, corners.loose]])


def _right_jacobian(turn: Array) -> Array:
    """Right Jacobian of SO(3) at a rotation vector [rad], (3,), to the second order; (3, 3).

    Solà et al., "A micro Lie theory for state estimation in robotics", equation 143.
    """
    skew = _skew(turn[None])[0]
    return np.asarray(np.eye(3) - skew / 2 + skew @ skew / 6, dtype=np.float64)


def _skew(vectors: Array) -> Array:
    """Matrices of the cross product with vectors, (m, 3) to (m, 3, 3)."""
    skew = np.zeros((len(vectors), 3, 3))
    skew[:, 0, 1], skew[:, 0, 2], skew[:, 1, 2] = -vectors[:, 2], vectors[:, 1], -vectors[:, 0]
    skew -= skew.transpose(0, 2, 1)
    return skew


def _robust_cost(residual: Array, sigma: Array) -> Array:
    """Of residuals [px], (..., m, 2), by their deviations [px], (..., m); (...)."""
    scaled = np.einsum("...mi,...mi->...m", residual, residual) / (sigma * OUTLIER_SCALE) ** 2
    cost: Array = OUTLIER_SCALE**2 * np.log1p(scaled).sum(axis=-1)
    return cost
