"""The pose of a camera relative to the hand, from the motion of an object that is fixed to a link.

No plate at a measured place is needed: the encoders say how the link moved, the tags how the
object moved before the camera, and one camera pose makes both agree. The object's place on the link
and the camera's delay are estimated together with it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from inhand.perception import rotations
from inhand.perception.calibration.latency import (
    DELAYS,
    MINIMUM_FRAMES,
    Fit,
    fit_motion,
    usable_frames,
)
from inhand.perception.calibration.link_motion import LinkMotion, LinkView
from inhand.perception.cameras import Camera, CameraError
from inhand.perception.objects import ObjectDescription
from inhand.perception.pose.pose import estimate_poses
from inhand.perception.records import TagCorners, frozen_array
from inhand.perception.rotations import Array

MAXIMUM_RESIDUAL = 1.5
"""Largest weighted root mean square of the reprojection errors [px]."""

MAXIMUM_PLACE_DEVIATION = 0.003
"""Largest standard deviation of the camera's position along an axis [m]."""

MAXIMUM_TURN_DEVIATION = 0.01
"""Largest standard deviation of the camera's orientation about an axis [rad]."""

MINIMUM_TURN = 0.04
"""Least root mean square of the link's rotation about its second axis [rad]: a rotation about one
axis leaves the camera's place along this axis open."""

LOOSE_PLACE, LOOSE_TURN = 0.1, 0.3
"""Standard deviations of the first guess of the camera's pose [m, rad]."""

STEP = 7
"""Frames are compared with those that are 1, 2, 3… times so many frames later."""


@dataclass(frozen=True)
class HandEyeReport:
    """A camera with its pose relative to the hand.

    Attributes:
        camera: the result, with its latency; its deviations are those of the worst axis.
        residual: weighted root mean square of the reprojection errors [px].
        frames: number of frames used.
        moved: distance from where the rig file had the camera [m].
        turned: the same of its orientation [rad].
    """

    camera: Camera
    residual: float
    frames: int
    moved: float
    turned: float


def calibrate_hand_eye(
    camera: Camera,
    description: ObjectDescription,
    motion: LinkMotion,
    frames: Sequence[TagCorners],
    tell: Callable[[str], None] = lambda text: None,
) -> HandEyeReport:
    """Finds a camera's pose; where the rig file has it does not matter.

    Args:
        camera: its lens counts; its `latency` is already subtracted from the times of the frames.
        description: the object, fixed to the link.
        motion: of the link.
        frames: tag corners of the camera.
        tell: called with the progress.

    Raises:
        CameraError: the frames do not suffice; the message says what to do.
    """
    name = camera.name
    usable = usable_frames(name, motion, frames, tell)
    start = _start(camera, description, motion, usable)
    view = LinkView.of(start.camera, description, motion, usable)
    values = np.concatenate([[start.delay], start.place, rotations.log(start.turn), np.zeros(6)])
    fit = fit_motion(view, values)
    tell(f"{name}: {len(usable)} frames, residual {fit.residual:.2f} px")
    _judge(name, fit)
    placed = _placed(start.camera, fit)
    found = replace(
        placed,
        position_sigma=float(fit.deviations[10:13].max()),
        rotation_sigma=float(fit.deviations[7:10].max()),
        focal_sigma=camera.focal_sigma,
        latency=camera.latency + float(fit.values[0]),
    )
    return HandEyeReport(
        camera=found,
        residual=fit.residual,
        frames=len(usable),
        moved=float(np.linalg.norm(found.position - camera.position)),
        turned=float(rotations.angle_between(found.quaternion, camera.quaternion)),
    )


@dataclass(frozen=True)
class _Start:
    """First guess: the camera, the delay [s], and the object on the link [m], wxyz."""

    camera: Camera
    delay: float
    place: Array
    turn: Array


def _start(
    camera: Camera, description: ObjectDescription, motion: LinkMotion, frames: Sequence[TagCorners]
) -> _Start:
    """Hand-eye calibration in closed form, by rotations first (Park and Martin, "Robot sensor
    calibration: solving AX = XB on the Euclidean group", 1994)."""
    bare = replace(
        camera,
        position=frozen_array(np.zeros(3)),
        quaternion=frozen_array([1.0, 0.0, 0.0, 0.0]),
        position_sigma=0.0,
        rotation_sigma=0.0,
        focal_sigma=0.0,
    )
    posed = [
        (frame.t, poses[0])
        for frame in frames
        if (poses := estimate_poses(description, {camera.name: bare}, [frame]))
    ]
    if len(posed) < MINIMUM_FRAMES:
        raise CameraError(
            f"camera {camera.name!r}: {len(posed)} of {len(frames)} frames fit the object "
            f"{description.name!r}, {MINIMUM_FRAMES} are needed; is it the right object, its tags "
            "calibrated?"
        )
    t = np.array([time for time, _ in posed])
    position = np.array([pose.position for _, pose in posed])
    quaternion = np.array([pose.quaternion for _, pose in posed])
    first, second = _pairs(len(t))
    seen = _between(quaternion, first, second)
    angle = np.linalg.norm(seen, axis=1)
    costs = []
    for delay in DELAYS:
        _, turn = motion.at(t - delay)
        off = np.abs(angle - np.linalg.norm(_between(turn, first, second), axis=1))
        # The worst fifth is left out: a single face sometimes gives the wrong of its two poses.
        costs.append(float(np.square(np.sort(off)[: int(0.8 * len(off))]).mean()))
    delay = float(DELAYS[int(np.argmin(costs))])
    origin, turn = motion.at(t - delay)
    moved = _between(turn, first, second)
    spread = np.linalg.svd(moved / np.sqrt(len(moved)), compute_uv=False)
    if spread[1] < MINIMUM_TURN:
        raise CameraError(
            f"camera {camera.name!r}: the link turned by {spread[0]:.2f} rad about one axis and by "
            f"{spread[1]:.2f} rad about others, {MINIMUM_TURN} are needed; turn it about two axes, "
            "as far as the object stays in view"
        )
    world_from_camera = _aligned(seen, moved)
    link_from_world = rotations.to_matrix(rotations.conjugate(turn))
    on_link = link_from_world @ world_from_camera @ rotations.to_matrix(quaternion)
    outer = np.einsum("ni,nj->ij", quaternions := rotations.from_matrix(on_link), quaternions)
    # The mean of orientations is the first eigenvector of their outer products (Markley et al.,
    # "Averaging quaternions", 2007).
    mean = np.linalg.eigh(outer)[1][:, -1]
    place, lens = _translations(world_from_camera, position, origin, rotations.to_matrix(turn))
    placed = replace(
        camera,
        position=frozen_array(lens),
        quaternion=frozen_array(rotations.from_matrix(world_from_camera)),
        position_sigma=LOOSE_PLACE,
        rotation_sigma=LOOSE_TURN,
    )
    return _Start(placed, delay, place, mean)


def _pairs(count: int) -> tuple[Array, Array]:
    """Indices of frames to compare."""
    pairs = [(i, i + gap) for gap in range(STEP, count, STEP) for i in range(0, count - gap, 3)]
    chosen = np.array(pairs)
    return chosen[:, 0], chosen[:, 1]


def _between(quaternion: Array, first: Array, second: Array) -> Array:
    """Rotation vectors from some orientations to others, in the fixed frame [rad], (n, 3)."""
    back = rotations.conjugate(quaternion[first])
    return rotations.log(rotations.multiply(quaternion[second], back))


def _aligned(seen: Array, moved: Array) -> Array:
    """The rotation that takes rotation vectors in the camera to those in the world, (3, 3).

    Kabsch's solution, repeated with Cauchy weights.
    """
    weight = np.ones(len(seen))
    for _ in range(10):
        u, _, v = np.linalg.svd((moved * weight[:, None]).T @ seen)
        turn = u @ np.diag([1.0, 1.0, np.linalg.det(u @ v)]) @ v
        off = np.linalg.norm(moved - seen @ turn.T, axis=1)
        weight = 1 / (1 + np.square(off / (2.5 * max(float(np.median(off)), 1e-4))))
    return np.asarray(turn, dtype=np.float64)


def _translations(
    world_from_camera: Array, seen: Array, origin: Array, turn: Array
) -> tuple[Array, Array]:
    """The object's place on the link and the camera's place in the world [m], (3,) each."""
    rows = np.concatenate([turn, -np.tile(np.eye(3), (len(turn), 1, 1))], axis=2)
    right = seen @ world_from_camera.T - origin
    weight = np.ones(len(turn))
    for _ in range(10):
        scaled = rows * weight[:, None, None]
        found = np.linalg.lstsq(scaled.reshape(-1, 6), (right * weight[:, None]).ravel())[0]
        off = np.linalg.norm(right - rows @ found, axis=1)
        weight = 1 / np.sqrt(1 + np.square(off / (2.5 * max(float(np.median(off)), 1e-5))))
    return np.asarray(found[:3], dtype=np.float64), np.asarray(found[3:], dtype=np.float64)


def _placed(camera: Camera, fit: Fit) -> Camera:
    """The camera with the error of its pose that was found."""
    turn = rotations.exp(fit.values[7:10])
    quaternion = rotations.multiply(camera.quaternion, rotations.conjugate(turn))
    position = camera.position - rotations.rotate(quaternion, fit.values[10:13])
    return replace(
        camera,
        position=frozen_array(position),
        quaternion=frozen_array(rotations.normalize(quaternion)),
    )


def _judge(name: str, fit: Fit) -> None:
    """Refuses an unreliable result."""
    if fit.residual > MAXIMUM_RESIDUAL:
        raise CameraError(
            f"camera {name!r}: the residual of the best place is {fit.residual:.1f} px, at most "
            f"{MAXIMUM_RESIDUAL} px are allowed; did the object slip, is it fixed to another "
            "link, or was the camera moved?"
        )
    place, turn = float(fit.deviations[10:13].max()), float(fit.deviations[7:10].max())
    if place > MAXIMUM_PLACE_DEVIATION or turn > MAXIMUM_TURN_DEVIATION:
        raise CameraError(
            f"camera {name!r}: its place is known to {1000 * place:.1f} mm and "
            f"{np.degrees(turn):.2f} degrees only, {1000 * MAXIMUM_PLACE_DEVIATION:.0f} mm and "
            f"{np.degrees(MAXIMUM_TURN_DEVIATION):.1f} degrees are needed; turn the link further, "
            "about two axes, and record for longer"
        )
