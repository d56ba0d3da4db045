"""Accuracy of a network: pose errors of all cameras together, from disturbed windows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import perf_counter

import cv2
import numpy as np

from inhand.perception import rotations
from inhand.perception.cameras import Camera
from inhand.perception.keypoints.detector import NO_CORNERS, PRESENT, face_agreement, in_picture
from inhand.perception.keypoints.face_check import FaceCheck
from inhand.perception.keypoints.network import VertexNetwork
from inhand.perception.keypoints.window import window_around
from inhand.perception.objects import ObjectDescription
from inhand.perception.pose.pose import PoseEstimate, estimate_poses
from inhand.perception.records import TagCorners
from inhand.perception.rotations import Array
from inhand.perception.tags import Image
from inhand.training.vision.states import States
from inhand.training.vision.studio import VisionError

FROM = np.array([0.005, 0.2])
"""Deviations of the prediction from which each view begins [m, rad]."""
CHI_95, PAIR_95 = 12.592, 5.991
"""Squared Mahalanobis distance within which 95 % of six and of two normal numbers are."""

Draw = Callable[[Array, Array, Array], Mapping[str, Image]]
"""Pictures by the camera's name, RGB, of joints [rad], position [m] and quaternion (wxyz)."""


@dataclass(frozen=True)
class View:
    """What all cameras showed at one instant.

    Attributes:
        error: position [m] and rotation vector, world frame [rad], (6,); infinite if refused.
        square: its squared Mahalanobis distance.
        cuts: windows with the vertices that were found.
        faces: true and found face that is turned most to a camera that has a pose alone.
        apart: squared distances of the vertices from the true ones in each camera's picture, in
            declared deviations, by the camera's name, (vertices,).
    """

    error: Array
    square: float
    cuts: list[Image]
    faces: list[tuple[str, str]]
    apart: dict[str, Array] = field(default_factory=dict)

    @property
    def refused(self) -> bool:
        """Whether no pose was found."""
        return not np.isfinite(self.square)


@dataclass(frozen=True)
class Measured:
    """Errors over some instants, all cameras fused.

    Attributes:
        views: of all instants.
        times: of the network for one window [s].
    """

    views: list[View]
    times: list[float] = field(default_factory=list)

    @property
    def found(self) -> list[View]:
        """The views with a pose."""
        return [view for view in self.views if not view.refused]

    @property
    def squares(self) -> Array:
        """Squared Mahalanobis distances of the views with a pose."""
        return np.array([view.square for view in self.found])

    @property
    def temperature(self) -> float:
        """Factor on the deviations with which 95 % of the errors are in the covariance's 95 %.

        Raises:
            VisionError: no pose was found.
        """
        if not self.found:
            raise VisionError("the network finds no pose: train it for longer, on more pictures")
        return float(np.sqrt(np.quantile(self.squares, 0.95) / CHI_95))

    def camera_factor(self, name: str) -> float:
        """Factor on a camera's deviations with which 95 % of its vertices are as near as declared.

        Raises:
            VisionError: it has seen nothing.
        """
        seen = [view.apart[name] for view in self.views if name in view.apart]
        if not seen:
            raise VisionError(
                f"camera {name!r} finds the object in no picture: train the network for longer, or "
                "correct the camera's place in the rig file"
            )
        return float(np.sqrt(np.quantile(np.concatenate(seen), 0.95) / PAIR_95))

    @property
    def confusion(self) -> dict[tuple[str, str], int]:
        """How often a camera alone took a face for another, the most frequent first."""
        pairs = [pair for view in self.views for pair in view.faces if pair[0] != pair[1]]
        return dict(sorted(((p, pairs.count(p)) for p in set(pairs)), key=lambda one: -one[1]))

    @property
    def text(self) -> str:
        """One line."""
        refused = len(self.views) - len(self.found)
        if not self.found:
            return f"no pose in {refused} instants"
        errors = np.array([view.error for view in self.found])
        place = 1e3 * np.linalg.norm(errors[:, :3], axis=1)
        turn = np.degrees(np.linalg.norm(errors[:, 3:], axis=1))
        inside = 100 * float(np.mean(self.squares < CHI_95))
        alone = sum(len(view.faces) for view in self.views)
        return (
            f"{len(place)} poses, {refused} refused; median {np.median(place):.2f} mm "
            f"{np.median(turn):.2f}°, 95 % {np.quantile(place, 0.95):.2f} mm "
            f"{np.quantile(turn, 0.95):.2f}°; {inside:.0f} % within the covariance's 95 %; "
            f"face mistaken by a camera alone in {sum(self.confusion.values())} of {alone}; "
            f"{1e3 * float(np.median(self.times)):.2f} ms a window"
        )


def measure(
    network: VertexNetwork,
    cameras: Mapping[str, Camera],
    target: ObjectDescription,
    states: States,
    count: int,
    seed: int,
    draw: Draw,
) -> Measured:
    """Measures a network on random states.

    Args:
        network: of the object.
        cameras: the rig as calibrated.
        target: the object.
        states: of trials that no picture of the training shows.
        count: number of instants.
        seed: of the choice.
        draw: makes the pictures.
    """
    rng = np.random.default_rng(seed)
    measured, check = Measured([]), FaceCheck(target)
    for _ in range(count):
        i = rng.integers(len(states.positions))
        true, quaternion = states.positions[i], states.quaternions[i]
        position = true + rng.normal(0.0, FROM[0], 3)
        off = rotations.exp(rng.normal(0.0, FROM[1] / 3**0.5, 3))
        guess = position, rotations.to_matrix(rotations.multiply(off, quaternion))
        records, cuts, faces = list[TagCorners](), list[Image](), list[tuple[str, str]]()
        apart = dict[str, Array]()
        for name, image in draw(states.joints[i], true, quaternion).items():
            camera = cameras[name]
            window = window_around(camera, target, position)
            cut = window.cut(image)
            begin = perf_counter()
            seen = network.look([cut], camera)[0]
            measured.times.append(perf_counter() - begin)
            vertices = in_picture(window, seen) if seen.presence >= PRESENT else None
            cuts.append(_drawn(cut, None if vertices is None else seen.points))
            record = TagCorners(0.0, name, (), NO_CORNERS, 1.0, vertices)
            alone = estimate_poses(target, cameras, [record])
            if alone and face_agreement(check, camera, target, window, image, alone[0]).good():
                assert vertices is not None
                records.append(record)
                pixels = camera.project(true + rotations.rotate(quaternion, target.vertices))
                squares = ((vertices[:, :2] - pixels) ** 2).sum(axis=1)
                apart[name] = squares / vertices[:, 2] ** 2
                taken = _front(target, camera, true, alone[0].quaternion)
                faces.append((_front(target, camera, true, quaternion), taken))
        poses = estimate_poses(target, cameras, records, guess)
        error, square = _error(poses[0] if poses else None, true, quaternion)
        measured.views.append(View(error, square, cuts, faces, apart))
    return measured


def _error(found: PoseEstimate | None, true: Array, quaternion: Array) -> tuple[Array, float]:
    if found is None:
        return np.full(6, np.inf), np.inf
    away = rotations.multiply(found.quaternion, rotations.conjugate(quaternion))
    error = np.concatenate([found.position - true, rotations.log(away)])
    return error, float(error @ np.linalg.solve(found.covariance, error))


def _front(target: ObjectDescription, camera: Camera, position: Array, quaternion: Array) -> str:
    """Name of the face that is turned most to the camera."""
    to_camera = camera.position - position
    normals = {name: rotations.rotate(quaternion, one) for name, one in target.faces.items()}
    return max(normals, key=lambda name: float(normals[name] @ to_camera))


def _drawn(cut: Image, points: Array | None) -> Image:
    """The window with the vertices that were found; with a red edge if none were."""
    shown = np.ascontiguousarray(cut)
    if points is None:
        return np.asarray(cv2.rectangle(shown, (0, 0), (95, 95), (255, 0, 0), 3), dtype=np.uint8)
    for x, y in np.round((points + 1) * len(cut) / 2 - 0.5).astype(int).tolist():
        cv2.circle(shown, (x, y), 2, (0, 255, 0), 1)
    return shown
