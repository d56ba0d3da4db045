"""Extrinsics: the pose of a camera, from pictures of a plate at a known pose on the hand's base."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from inhand.perception import rotations
from inhand.perception.calibration.camera_info import Intrinsics
from inhand.perception.calibration.plate import Plate
from inhand.perception.cameras import Camera, CameraError
from inhand.perception.records import frozen_array
from inhand.perception.rotations import Array
from inhand.perception.tags import Image

MINIMUM_CORNERS = 15
MAXIMUM_RESIDUAL = 0.5
"""Largest root mean square of the reprojection errors [px]."""

FOCAL_ERROR, CENTRE_ERROR = 0.002, 0.0015
"""Standard deviations of a lens: focal length, relative to it; centre, as a share of the width."""

MINIMUM_RATIO = 1.5
"""Least ratio of the errors of the two pose solutions of a plane (two-fold ambiguity)."""


@dataclass(frozen=True)
class ExtrinsicsReport:
    """A camera with its pose, and the residual.

    Attributes:
        camera: the result; its deviations are those of the worst direction and axis.
        residual: root mean square of the reprojection errors [px].
        pixels: detected corners [px], (n, 2).
    """

    camera: Camera
    residual: float
    pixels: Array


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
    views = []
    for image in images:
        if image.shape != (intrinsics.height, intrinsics.width):
            raise CameraError(
                f"camera {name!r}: a picture is {image.shape[1]}x{image.shape[0]}, the lens was "
                f"calibrated at {intrinsics.width}x{intrinsics.height}; use one setting for both"
            )
        views.append(plate.find(image))
        tell(
            f"{name}: picture {len(views)} of {len(images)} shows {len(views[-1][0])} of "
            f"{(plate.columns - 1) * (plate.rows - 1)} corners, {MINIMUM_CORNERS} are needed"
        )
    points, pixels = (np.concatenate(parts) for parts in zip(*views, strict=True))
    if len(points) < MINIMUM_CORNERS * len(images):
        raise CameraError(
            f"camera {name!r}: {len(points) / len(images):.0f} corners of the plate were found, "
            f"{MINIMUM_CORNERS} are needed; bring all of it into view, lit evenly"
        )
    matrix, lens = intrinsics.matrix, intrinsics.distortion
    count, turns, shifts, errors = cv2.solvePnPGeneric(
        points, pixels, matrix, lens, flags=cv2.SOLVEPNP_IPPE
    )
    if not count:
        raise CameraError(
            f"camera {name!r}: no camera pose fits the plate's corners; take the pictures again"
        )
    seen_twice = np.asarray(errors, dtype=np.float64).ravel()
    turn, shift = cv2.solvePnPRefineLM(points, pixels, matrix, lens, turns[0], shifts[0])
    rotation: Array = np.asarray(cv2.Rodrigues(turn)[0], dtype=np.float64)
    origin = np.asarray(shift, dtype=np.float64).reshape(3)
    # Rotated first, so that the derivative is by a small rotation in the camera's frame.
    turned = points @ rotation.T
    expected, jacobian = cv2.projectPoints(turned, np.zeros(3), origin, matrix, lens)
    residual = pixels - np.asarray(expected, dtype=np.float64).reshape(-1, 2)
    rms = float(np.sqrt(np.square(residual).sum(axis=1).mean()))
    tell(f"{name}: {len(points)} corners in {len(images)} pictures, residual {rms:.3f} px")
    if rms > MAXIMUM_RESIDUAL:
        raise CameraError(
            f"camera {name!r}: the residual of the best pose is {rms:.2f} px, at most "
            f"{MAXIMUM_RESIDUAL} px are allowed; was camera or plate moved, or is the lens "
            "another one?"
        )
    if count > 1 and seen_twice[1] < MINIMUM_RATIO * max(seen_twice[0], 0.02):
        raise CameraError(
            f"camera {name!r}: the plate is seen so frontally that the direction of its tilt is "
            "ambiguous; tilt it, or bring it nearer"
        )
    lens_in_plate = -rotation.T @ origin
    covariance = _covariance(
        np.asarray(jacobian, dtype=np.float64), residual, intrinsics, len(images)
    )
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
    )
    return ExtrinsicsReport(
        camera=camera,
        residual=rms,
        pixels=pixels,
    )


def _covariance(jacobian: Array, residual: Array, intrinsics: Intrinsics, pictures: int) -> Array:
    """Covariance of rotation and translation, (6, 6).

    Neither the errors of the corners average out over pictures of one scene, as detector and print
    have the same error in each, nor those of the lens.

    Args:
        jacobian: of the pixels by rotation, translation, focal lengths and centre, (2 n, at least
            10).
        residual: reprojection errors [px], (n, 2).
        intrinsics: the lens.
        pictures: number of pictures.
    """
    pose = jacobian[:, :6]
    inverse = np.linalg.inv(pose.T @ pose)
    noise = float(np.square(residual).sum()) / max(residual.size - 6, 1)
    focal = jacobian[:, 6] * intrinsics.matrix[0, 0] + jacobian[:, 7] * intrinsics.matrix[1, 1]
    centre = CENTRE_ERROR * intrinsics.width
    lens = np.column_stack([FOCAL_ERROR * focal, centre * jacobian[:, 8], centre * jacobian[:, 9]])
    moved = inverse @ pose.T @ lens
    return np.asarray(pictures * noise * inverse + moved @ moved.T, dtype=np.float64)


def _worst(covariance: Array) -> float:
    """Standard deviation along the worst direction."""
    return float(np.sqrt(np.linalg.eigvalsh(covariance)[-1]))


def _skew(vector: Array) -> Array:
    x, y, z = (float(value) for value in vector)
    return np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
