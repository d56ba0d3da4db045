"""Least squares of a lens and the poses of a plate, with the weight of each picture in the result.

The plate's pose in each picture is eliminated from the normal equations (Schur complement), so that
every picture has a matrix of its own about the lens. With these, leaving out a picture costs no
second solution: how far it alone pulls the lens, and how much the lens differs between pictures.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from inhand.perception.cameras import CameraError
from inhand.perception.lens import Lens, Model
from inhand.perception.rotations import Array

View = tuple[Array, Array]
"""Corners of the plate in one picture: plate frame [m], (n, 3), and pixels, (n, 2)."""

Pose = tuple[Array, Array]
"""Rotation (3, 3) and position (3,) [m] of the plate in the camera's frame."""

NO_LENS = (
    "no lens explains the pictures; is the plate the one described, and the model of the lens the "
    "right one?"
)

ITERATIONS = 30
CONVERGED = 1e-7
"""Step, in focal lengths and in radians, at which the iteration ends."""

LEAST_DAMPING, MOST_DAMPING = 1e-6, 1e6

OUTLIER_SCALE = 3.0
"""Residual, in standard deviations, from which a corner loses weight (Cauchy)."""

LEAST_NOISE = 0.01
"""Least standard deviation of a corner [px]."""


@dataclass(frozen=True)
class LensFit:
    """A lens and how well the pictures agree on it.

    Attributes:
        lens: the result.
        errors: measured minus expected of each picture's corners [px], (n, 2) each.
        tilt: largest angle between two poses of the plate [rad].
        deviation: standard deviations of fx, fy, cx, cy and the distortion, (4 + k,).
        influence: how far each picture alone pulls fx, fy, cx and cy, in deviations of a lens from
            the others; the largest of the four, (pictures,).
    """

    lens: Lens
    errors: tuple[Array, ...]
    tilt: float
    deviation: Array
    influence: Array

    @property
    def residuals(self) -> Array:
        """Root mean square of the reprojection errors of each picture [px], (pictures,)."""
        return np.array([np.sqrt(np.square(e).sum(axis=1).mean()) for e in self.errors])

    @property
    def residual(self) -> float:
        """Root mean square of all reprojection errors [px]."""
        together = np.concatenate(self.errors)
        return float(np.sqrt(np.square(together).sum(axis=1).mean()))


def fit_lens(
    views: Sequence[View], size: tuple[int, int], model: Model = "pinhole", numbers: int = 5
) -> LensFit:
    """Fits a lens to pictures of a plate.

    Args:
        views: corners in each picture.
        size: of the image, width and height [px].
        model: lens model.
        numbers: how many numbers of distortion to fit.

    Raises:
        CameraError: no lens explains the pictures.
    """
    lens, poses = _start(views, size, model, numbers)
    damping = 0.0
    parts: list[tuple[Array, Array]] = []
    for _ in range(ITERATIONS):
        residuals = [_residual(lens, view, pose) for view, pose in zip(views, poses, strict=True)]
        scale = _scale(residuals)
        blocks = [
            _normal(lens, view, pose, residual, scale)
            for view, pose, residual in zip(views, poses, residuals, strict=True)
        ]
        parts = [_reduced(*block) for block in blocks]
        while True:
            moved, placed, away = _stepped(lens, poses, blocks, damping)
            after = [_residual(moved, v, pose) for v, pose in zip(views, placed, strict=True)]
            if _cost(after, scale) <= _cost(residuals, scale) * (1 + 1e-9):
                break
            damping = max(10 * damping, LEAST_DAMPING)
            if damping > MOST_DAMPING:
                break
        if damping > MOST_DAMPING:
            break
        lens, poses = moved, placed
        damping = damping / 10 if damping > LEAST_DAMPING else 0.0
        if away < CONVERGED:
            break
    if not np.isfinite(lens.matrix).all():
        raise CameraError(NO_LENS)
    residuals = [_residual(lens, view, pose) for view, pose in zip(views, poses, strict=True)]
    deviation, influence = _agreement(parts)
    normals = np.array([rotation[:, 2] for rotation, _ in poses])
    return LensFit(
        lens=lens,
        errors=tuple(residuals),
        tilt=float(np.arccos(np.clip((normals @ normals.T).min(), -1.0, 1.0))),
        deviation=deviation,
        influence=influence,
    )


def _stepped(
    lens: Lens,
    poses: Sequence[Pose],
    blocks: Sequence[tuple[Array, Array, Array, Array, Array]],
    damping: float,
) -> tuple[Lens, list[Pose], float]:
    """Lens and poses after one damped step (Levenberg-Marquardt), and how far it went."""
    damped = [
        (_damped(own, damping), cross, vector, _damped(information, damping), pull)
        for own, cross, vector, information, pull in blocks
    ]
    parts = [_reduced(*block) for block in damped]
    information: Array = np.sum([matrix for matrix, _ in parts], axis=0)
    step = _solve(information, np.sum([vector for _, vector in parts], axis=0))
    away = float(np.abs(step[:4]).max() / lens.matrix[0, 0])
    placed = []
    for (rotation, shift), (own, cross, vector, _, _) in zip(poses, damped, strict=True):
        turn = _solve(own, vector - cross @ step)
        placed.append((cv2.Rodrigues(turn[:3])[0] @ rotation, shift + turn[3:]))
        away = max(away, float(np.abs(turn[:3]).max()))
    return _moved(lens, step), placed, away


def _damped(matrix: Array, damping: float) -> Array:
    return matrix + damping * np.diag(np.diag(matrix))


def _cost(residuals: Sequence[Array], scale: float) -> float:
    """Robust cost; infinite if anything is not finite."""
    square = np.square(np.concatenate(residuals)).sum(axis=1) / (OUTLIER_SCALE * scale) ** 2
    cost = float(np.log1p(square).sum())
    return cost if np.isfinite(cost) else float("inf")


def _agreement(parts: Sequence[tuple[Array, Array]]) -> tuple[Array, Array]:
    """Deviations of the lens' parameters and the influence of each picture.

    Errors of one picture are not independent (a bent plate, a moved camera), pictures nearly are.
    The deviation is that of the corners' noise or of a jackknife over pictures, whichever is
    larger (Efron and Tibshirani, "An introduction to the bootstrap", 11.5).
    """
    information: Array = np.sum([matrix for matrix, _ in parts], axis=0)
    pull: Array = np.sum([vector for _, vector in parts], axis=0)
    count = len(parts)
    covariance = np.linalg.pinv(information)
    without = np.zeros((count, len(pull)))
    influence = np.zeros(count)
    for k, (matrix, vector) in enumerate(parts):
        without[k] = _solve(information - matrix, pull - vector)
        others = np.sqrt(np.maximum(np.diag(np.linalg.pinv(information - matrix)), 1e-30))
        influence[k] = float(np.abs(without[k][:4] / others[:4]).max())
    spread = np.square(without - without.mean(axis=0)).sum(axis=0) * (count - 1) / count
    return np.sqrt(np.maximum(np.diag(covariance), spread)), influence


def _start(
    views: Sequence[View], size: tuple[int, int], model: Model, numbers: int
) -> tuple[Lens, list[Pose]]:
    """A lens that is nearly right, and the plate's pose in each picture."""
    if model == "fisheye":
        center = (np.array(size) - 1) / 2
        tried = []
        for focal in size[0] * np.geomspace(0.2, 1.2, 15):
            matrix = np.array([[focal, 0.0, center[0]], [0.0, focal, center[1]], [0.0, 0.0, 1.0]])
            lens = Lens(matrix, np.zeros(4), model)
            poses = [_pose(lens, view) for view in views]
            residuals = [_residual(lens, v, pose) for v, pose in zip(views, poses, strict=True)]
            tried.append((_scale(residuals), lens, poses))
        _, lens, poses = min(tried, key=lambda one: one[0])
        return lens, poses
    try:
        _, found, distortion, turns, shifts = cv2.calibrateCamera(
            [points.astype(np.float32) for points, _ in views],
            [seen.astype(np.float32) for _, seen in views],
            size,
            np.eye(3),
            np.zeros(5),
        )
    except (cv2.error, SystemError) as error:
        raise CameraError(NO_LENS) from error
    values = np.asarray(distortion, dtype=np.float64).ravel()
    values = np.pad(values, (0, max(0, numbers - len(values))))[:numbers]
    poses = _poses(turns, shifts)
    return Lens(np.asarray(found, dtype=np.float64), values, model), poses


def _pose(lens: Lens, view: View) -> Pose:
    """The better of the two poses of a plate by a lens that is roughly known."""
    points, pixels = view
    poses = plane_poses(points, np.clip(lens.rays(pixels), -5, 5))
    return min(poses, key=lambda pose: _scale([_residual(lens, view, pose)]))


def plane_poses(points: Array, rays: Array) -> list[Pose]:
    """Poses of a plate in the camera's frame, the better first.

    A plane has two poses that fit about equally well if it is seen frontally (Collins and Bartoli,
    "Infinitesimal plane-based pose estimation").

    Args:
        points: plate frame [m], (n, 3), all with z = 0.
        rays: undistorted coordinates, (n, 2).
    """
    _, turns, shifts, _ = cv2.solvePnPGeneric(
        points, rays, np.eye(3), np.zeros(5), flags=cv2.SOLVEPNP_IPPE
    )
    return _poses(turns, shifts)


def _poses(turns: Sequence[Any], shifts: Sequence[Any]) -> list[Pose]:
    """Poses of OpenCV's rotation vectors and shifts."""
    return [
        (
            np.asarray(cv2.Rodrigues(np.asarray(turn, dtype=np.float64))[0], dtype=np.float64),
            np.asarray(shift, dtype=np.float64).reshape(3),
        )
        for turn, shift in zip(turns, shifts, strict=True)
    ]


def _residual(lens: Lens, view: View, pose: Pose) -> Array:
    points, pixels = view
    return np.asarray(pixels - lens.project(points @ pose[0].T + pose[1]), dtype=np.float64)


def _scale(residuals: Sequence[Array]) -> float:
    """Standard deviation of a corner's coordinate [px], whatever the outliers are."""
    square = np.concatenate([np.square(one).sum(axis=1) for one in residuals])
    return float(max(np.sqrt(np.median(square) / 1.386), LEAST_NOISE))


def _normal(
    lens: Lens, view: View, pose: Pose, residual: Array, scale: float
) -> tuple[Array, Array, Array, Array, Array]:
    """Weighted normal equations of one picture.

    Returns:
        own: of the plate's pose, (6, 6).
        cross: of pose and lens, (6, p).
        vector: right side of the pose, (6,).
        information: of the lens, (p, p).
        pull: right side of the lens, (p,).
    """
    turned = view[0] @ pose[0].T
    local = turned + pose[1]
    _, by_point = lens.derivative(local)
    skew = np.zeros((len(turned), 3, 3))
    x, y, z = turned.T
    skew[:, 0, 1], skew[:, 0, 2], skew[:, 1, 2] = -z, y, -x
    skew -= skew.transpose(0, 2, 1)
    by_pose = np.concatenate([-by_point @ skew, by_point], axis=-1)
    by_lens = lens.by_parameters(local)
    square = np.square(residual).sum(axis=1)
    weight = 1 / (1 + square / (OUTLIER_SCALE * scale) ** 2) / scale**2
    weighted = by_pose * weight[:, None, None]
    own = np.einsum("nip,niq->pq", weighted, by_pose)
    cross = np.einsum("nip,niq->pq", weighted, by_lens)
    vector = np.einsum("nip,ni->p", weighted, residual)
    information = np.einsum("nip,niq->pq", by_lens * weight[:, None, None], by_lens)
    pull = np.einsum("nip,ni,n->p", by_lens, residual, weight)
    return own, cross, vector, information, pull


def _reduced(
    own: Array, cross: Array, vector: Array, information: Array, pull: Array
) -> tuple[Array, Array]:
    """The normal equations of the lens by one picture, without the plate's pose."""
    solved = _solve(own, np.column_stack([cross, vector]))
    return information - cross.T @ solved[:, :-1], pull - cross.T @ solved[:, -1]


def _solve(matrix: Array, right: Array) -> Array:
    """Least squares solution; parameters that nothing determines stay as they are."""
    size = np.sqrt(np.maximum(np.diag(matrix), 1e-30))
    scaled = matrix / np.outer(size, size)
    sides = right / (size[:, None] if right.ndim == 2 else size)
    found = np.linalg.lstsq(scaled, sides, rcond=1e-12)[0]
    return np.asarray(found / (size[:, None] if right.ndim == 2 else size), dtype=np.float64)


def _moved(lens: Lens, step: Array) -> Lens:
    matrix = lens.matrix.copy()
    matrix[[0, 1, 0, 1], [0, 1, 2, 2]] += step[:4]
    return Lens(matrix, lens.distortion + step[4:], lens.model)
