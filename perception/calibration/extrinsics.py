"""Extrinsics: the pose of a camera, from pictures of a plate at a known pose on the hand's base."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from inhand.perception import rotations
from inhand.perception.calibration.camera_info import Intrinsics
from inhand.perception.calibration.lens_fit import plane_poses
from inhand.perception.calibration.plate import Plate
from inhand.perception.cameras import Camera, CameraError
from inhand.perception.lens import Lens
from inhand.perception.records import frozen_array
from inhand.perception.rotations import Array
from inhand.perception.tags import Image

MINIMUM_CORNERS = 15
MAXIMUM_RESIDUAL = 0.5
"""Largest root mean square of the reprojection errors [px]."""

FOCAL_ERROR, CENTRE_ERROR = 0.002, 0.0015
"""Standard deviations of a lens: focal length, relative to it; centre, as a share of the width."""

FARTHEST = 5.0
"""Largest distance of plate and camera from the hand's base [m]."""

ITERATIONS = 20

MINIMUM_RATIO = 1.5
"""Least ratio of the errors of the two pose solutions of a plane (two-fold ambiguity)."""


@dataclass(frozen=True)
class ExtrinsicsReport:
    """A camera with its pose, and the residual.

    Attributes:
        camera: the result; its deviations are those of the worst direction and axis.
        residual: root mean square of the reprojection errors [px].
        pixels: detected corners [px], (n, 2).
        errors: measured minus expected [px], (n, 2).
        counts: number of corners in each picture.
    """

    camera: Camera
    residual: float
    pixels: Array
    errors: Array
    counts: tuple[int, ...]


def calibrate_extrinsics(
    name: str,
    intrinsics: Intrinsics,
    plate: Plate,
    position: Array,
    quaternion: Array,
    images: Sequence[Image],
    tell: Callable[[str], None] = lambda text: None,
) -> ExtrinsicsReport:
    """Finds a camera's pose.

    Args:
        name: of the camera.
        intrinsics: its lens.
        plate: what the pictures show.
        position: the plate's origin, world frame [m], (3,).
        quaternion: world from plate, wxyz, (4,).
        images: grey, (height, width), all with the plate and the camera in these poses.
        tell: called with the progress after each picture.

    Raises:
        CameraError: the pictures do not suffice; the message says why.
    """
    if plate.symmetric:
        raise CameraError(
            f"camera {name!r}: a chessboard of {plate.columns} x {plate.rows} squares looks the "
            "same after half a turn; use one with an odd and an even number, or a plate with tags"
        )
    if np.linalg.norm(position) > FARTHEST:
        raise CameraError(
            f"--position {position.tolist()} is more than {FARTHEST:g} m from the hand's base; "
            "give it in metres"
        )
    for image in images:
        plate = plate.settled(image)
    views, reasons = [], []
    for image in images:
        if image.shape != (intrinsics.height, intrinsics.width):
            raise CameraError(
                f"camera {name!r}: a picture is {image.shape[1]}x{image.shape[0]}, the lens was "
                f"calibrated at {intrinsics.width}x{intrinsics.height}; use one setting for both"
            )
        views.append(plate.find(image))
        if len(views[-1][0]) < MINIMUM_CORNERS:
            reasons.append(plate.explain(image))
        tell(
            f"{name}: picture {len(views)} of {len(images)} shows {len(views[-1][0])} of "
            f"{plate.corners} corners, {MINIMUM_CORNERS} are needed"
        )
    points, pixels = (np.concatenate(parts) for parts in zip(*views, strict=True))
    if len(points) < MINIMUM_CORNERS * len(images):
        why = next((f"; {reason}" for reason in reasons if reason), "")
        raise CameraError(
            f"camera {name!r}: {len(points) / len(images):.0f} corners of the plate were found, "
            f"{MINIMUM_CORNERS} are needed; bring all of it into view, lit evenly{why}"
        )
    lens = intrinsics.lens
    starts = plane_poses(points, lens.rays(pixels))
    if not starts:
        raise CameraError(
            f"camera {name!r}: no camera pose fits the plate's corners; take the pictures again"
        )
    seen_twice = [
        _rms(pixels - lens.project(points @ rotation.T + shift)) for rotation, shift in starts
    ]
    rotation, origin = _refined(lens, points, pixels, *starts[0])
    expected, by_point = lens.derivative(points @ rotation.T + origin)
    residual = pixels - expected
    jacobian = _by_pose(by_point, points @ rotation.T)
    rms = _rms(residual)
    tell(f"{name}: {len(points)} corners in {len(images)} pictures, residual {rms:.3f} px")
    if rms > MAXIMUM_RESIDUAL:
        raise CameraError(
            f"camera {name!r}: the residual of the best pose is {rms:.2f} px, at most "
            f"{MAXIMUM_RESIDUAL} px are allowed; was camera or plate moved, or is the lens "
            "another one?"
        )
    if len(starts) > 1 and seen_twice[1] < MINIMUM_RATIO * max(seen_twice[0], 0.02):
        raise CameraError(
            f"camera {name!r}: the plate is seen so frontally that the direction of its tilt is "
            "ambiguous; tilt it, or bring it nearer"
        )
    away = float(np.linalg.norm(origin))
    if away > FARTHEST:
        raise CameraError(
            f"camera {name!r}: the plate is {away:.1f} m away by these pictures; is a square "
            f"really {1000 * plate.square:g} mm?"
        )
    lens_in_plate = -rotation.T @ origin
    covariance = _covariance(jacobian, residual, expected, intrinsics, len(images))
    # The camera's position is -Rᵀ t: an error of the rotation moves it about the plate.
    toward = np.hstack([-rotation.T @ _skew(origin), -rotation.T])
    camera = Camera(
        name=name,
        width=intrinsics.width,
        height=intrinsics.height,
        matrix=intrinsics.matrix,
        distortion=intrinsics.distortion,
        position=frozen_array(position + rotations.rotate(quaternion, lens_in_plate)),
        quaternion=frozen_array(rotations.multiply(quaternion, rotations.from_matrix(rotation.T))),
        position_sigma=_worst(toward @ covariance @ toward.T),
        rotation_sigma=_worst(covariance[:3, :3]),
        model=intrinsics.model,
    )
    return ExtrinsicsReport(
        camera=camera,
        residual=rms,
        pixels=pixels,
        errors=residual,
        counts=tuple(len(found) for found, _ in views),
    )


def _refined(
    lens: Lens, points: Array, pixels: Array, rotation: Array, shift: Array
) -> tuple[Array, Array]:
    """The pose of a plate in a camera with the least squares of the reprojection errors.

    Gauss-Newton with a small rotation in the camera's frame, from a pose that is nearly right.
    """
    for _ in range(ITERATIONS):
        expected, by_point = lens.derivative(points @ rotation.T + shift)
        jacobian = _by_pose(by_point, points @ rotation.T)
        step = np.linalg.lstsq(jacobian, (pixels - expected).ravel())[0]
        rotation = np.asarray(cv2.Rodrigues(step[:3])[0], dtype=np.float64) @ rotation
        shift = shift + step[3:]
        if np.abs(step).max() < 1e-10:
            break
    return rotation, shift


def _by_pose(by_point: Array, turned: Array) -> Array:
    """Derivative of pixels by a small rotation and by a shift, (2 n, 6).

    Args:
        by_point: derivative by the points in the camera's frame, (n, 2, 3).
        turned: the points, rotated into the axes of the camera [m], (n, 3).
    """
    by_turn = -by_point @ np.stack([_skew(point) for point in turned])
    return np.concatenate([by_turn, by_point], axis=-1).reshape(-1, 6)


def _rms(residual: Array) -> float:
    return float(np.sqrt(np.square(residual).sum(axis=1).mean()))


def _covariance(
    jacobian: Array, residual: Array, expected: Array, intrinsics: Intrinsics, pictures: int
) -> Array:
    """Covariance of rotation and translation, (6, 6).

    Neither the errors of the corners average out over pictures of one scene, as detector and print
    have the same error in each, nor those of the lens.

    Args:
        jacobian: of the pixels by rotation and translation, (2 n, 6).
        residual: reprojection errors [px], (n, 2).
        expected: where the corners should be [px], (n, 2).
        intrinsics: the lens.
        pictures: number of pictures.
    """
    inverse = np.linalg.inv(jacobian.T @ jacobian)
    noise = float(np.square(residual).sum()) / max(residual.size - 6, 1)
    # A longer focal length moves each corner away from the image's centre.
    by_focal = (expected - intrinsics.matrix[:2, 2]).ravel()
    by_centre = np.tile(np.eye(2), (len(expected), 1))
    lens = np.column_stack([FOCAL_ERROR * by_focal, CENTRE_ERROR * intrinsics.width * by_centre])
    moved = inverse @ jacobian.T @ lens
    return np.asarray(pictures * noise * inverse + moved @ moved.T, dtype=np.float64)


def _worst(covariance: Array) -> float:
    """Standard deviation along the worst direction."""
    return float(np.sqrt(np.linalg.eigvalsh(covariance)[-1]))


def _skew(vector: Array) -> Array:
    x, y, z = (float(value) for value in vector)
    return np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
