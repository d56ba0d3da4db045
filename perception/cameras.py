"""Calibrated cameras and the rig file that describes them.

A camera's own frame has OpenCV's axes: x right, y down, z out of the lens. Pixel (0, 0) is the
centre of the top-left pixel.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
import tomli_w

from inhand.descriptions import DescriptionKind
from inhand.files import write_whole
from inhand.perception import rotations
from inhand.perception.errors import PerceptionError
from inhand.perception.lens import Lens, Model, lens_problem
from inhand.perception.records import frozen_array
from inhand.perception.rotations import Array

Vector = tuple[float, float, float]

MAXIMUM_LATENCY = 1.0
"""Largest absolute latency of a camera [s]: older frames are useless for control."""


class CameraError(PerceptionError):
    """A rig file or a camera's calibration is unusable."""


RIG_FILES = DescriptionKind("rig", CameraError)


@dataclass(frozen=True)
class Camera:
    """A calibrated camera.

    Attributes:
        name: unique in the rig.
        width: image width [px].
        height: image height [px].
        matrix: intrinsic matrix [px], (3, 3).
        distortion: numbers of the lens model: k1, k2, p1, p2, k3 and so on, or k1 to k4 of a
            fisheye lens.
        position: of the lens, world frame [m], (3,).
        quaternion: world from camera, wxyz, (4,).
        position_sigma: standard deviation of `position`, along each axis [m].
        rotation_sigma: the same of `quaternion`, about each axis [rad].
        focal_sigma: the same of the focal length, relative to it.
        latency: time stamp of a frame minus its capture time [s].
        model: what the numbers of the distortion mean.
    """

    name: str
    width: int
    height: int
    matrix: Array
    distortion: Array
    position: Array
    quaternion: Array
    position_sigma: float = 0.0
    rotation_sigma: float = 0.0
    focal_sigma: float = 0.0
    latency: float = 0.0
    model: Model = "pinhole"

    @cached_property
    def lens(self) -> Lens:
        """How it projects."""
        return Lens(self.matrix, self.distortion, self.model)

    @cached_property
    def rotation(self) -> Array:
        """World from camera, (3, 3)."""
        return rotations.to_matrix(self.quaternion)

    @property
    def focal_length(self) -> float:
        """Mean of the two focal lengths [px]."""
        return float(self.matrix[0, 0] + self.matrix[1, 1]) / 2

    def project(self, points: Array) -> Array:
        """Pixels, (n, 2), of points in the world frame [m], (n, 3), through lens distortion."""
        local = rotations.rotate(rotations.conjugate(self.quaternion), points - self.position)
        return self.lens.project(local)

    def normalize(self, pixels: Array) -> Array:
        """Undistorted coordinates x/z, y/z in the camera frame, (n, 2), of pixels, (n, 2)."""
        return self.lens.rays(pixels)


class _CameraFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    width: int
    height: int
    matrix: tuple[Vector, Vector, Vector]
    distortion: tuple[float, ...]
    position: Vector
    quaternion: tuple[float, float, float, float]
    position_sigma: float = 0.0
    rotation_sigma: float = 0.0
    focal_sigma: float = 0.0
    latency: float = 0.0
    model: Model = "pinhole"


class _RigFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schema: Literal[1]
    cameras: tuple[_CameraFile, ...]


def look_at(position: Array, target: Array, up: Array) -> Array:
    """Orientation, world from camera, wxyz, of a camera at `position` that faces `target`."""
    forward = target - position
    forward = forward / np.linalg.norm(forward)
    right = np.cross(forward, up)
    right = right / np.linalg.norm(right)
    return rotations.from_matrix(np.stack([right, np.cross(forward, right), forward], axis=-1))


def load_rig(path: str | Path) -> dict[str, Camera]:
    """Loads the cameras of a rig file, by name, in the file's order.

    Raises:
        CameraError: the file is missing, malformed or describes an impossible camera.
    """
    return parse_rig(RIG_FILES.read(path), path)


def parse_rig(raw: bytes, path: str | Path) -> dict[str, Camera]:
    """The cameras that the content of a rig file describes; `path` is for messages.

    Raises:
        CameraError: the content is malformed or describes no camera there could be.
    """
    data = RIG_FILES.convert(raw, path, _RigFile)
    names = [camera.name for camera in data.cameras]
    if not names:
        raise CameraError(f"rig file {path}: describes no camera")
    if len(set(names)) != len(names):
        raise CameraError(f"rig file {path}: two cameras share a name, names are {names}")
    cameras = {camera.name: _camera(camera) for camera in data.cameras}
    _check(cameras, path)
    return cameras


_HEAD = """\
# Calibrated cameras: pixels, metres; quaternion is world from camera, wxyz.
# Standard deviations along or about each axis: metres, radians, relative.
# Latency: how much later a frame is stamped than it was captured, seconds.
"""


def save_rig(path: str | Path, cameras: dict[str, Camera]) -> None:
    """Writes a rig file that `load_rig` reads.

    Raises:
        CameraError: it describes an impossible camera; nothing is written.
        WriteError: it cannot be written; what was there before still is.
    """
    _check(cameras, path)
    rows = [
        {
            "name": camera.name,
            "width": camera.width,
            "height": camera.height,
            "matrix": camera.matrix.tolist(),
            "distortion": camera.distortion.tolist(),
            "position": camera.position.tolist(),
            "quaternion": camera.quaternion.tolist(),
            "position_sigma": float(camera.position_sigma),
            "rotation_sigma": float(camera.rotation_sigma),
            "focal_sigma": float(camera.focal_sigma),
            "latency": float(camera.latency),
            # Rig files of pinhole cameras can be read by older versions too.
            **({"model": camera.model} if camera.model != "pinhole" else {}),
        }
        for camera in cameras.values()
    ]
    write_whole(path, _HEAD + tomli_w.dumps({"schema": 1, "cameras": rows}))


def _camera(data: _CameraFile) -> Camera:
    quaternion = np.array(data.quaternion)
    return Camera(
        name=data.name,
        width=data.width,
        height=data.height,
        matrix=frozen_array(data.matrix),
        distortion=frozen_array(data.distortion),
        position=frozen_array(data.position),
        # One that is not of unit length is refused, and stays as it is for the message.
        quaternion=frozen_array(
            rotations.normalize(quaternion) if _unit(quaternion) else quaternion
        ),
        position_sigma=data.position_sigma,
        rotation_sigma=data.rotation_sigma,
        focal_sigma=data.focal_sigma,
        latency=data.latency,
        model=data.model,
    )


def _unit(quaternion: Array) -> bool:
    return bool(abs(np.linalg.norm(quaternion) - 1) <= 1e-3)


def _check(cameras: dict[str, Camera], path: str | Path) -> None:
    """Raises CameraError if a camera of a rig file is impossible."""
    for camera in cameras.values():
        problem = _problem(camera)
        if problem:
            raise CameraError(f"rig file {path}: camera {camera.name!r}: {problem}")


def _problem(camera: Camera) -> str:
    """Why this camera is impossible; empty if it is not."""
    sigmas = [camera.position_sigma, camera.rotation_sigma, camera.focal_sigma]
    if not camera.name:
        return "the name is empty"
    if problem := lens_problem(camera.width, camera.height, camera.lens):
        return problem
    if not np.isfinite([*camera.position, *camera.quaternion, *sigmas, camera.latency]).all():
        return "every number must be finite"
    if not _unit(camera.quaternion):
        return f"quaternion {camera.quaternion.tolist()} is not of unit length"
    if min(sigmas) < 0:
        return f"standard deviations {sigmas} must not be negative"
    if abs(camera.latency) > MAXIMUM_LATENCY:
        return f"latency {camera.latency} s must lie within {MAXIMUM_LATENCY} s of zero"
    return ""
