"""Camera latency from the motion of an object that is fixed to a link of the hand.

The encoders give the link's motion. The latency is the time shift that minimises the reprojection
errors of the object's corners. The object's pose on the link and the error of the camera's pose
are estimated together with it; the latter has a prior.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from inhand.perception import rotations
from inhand.perception.calibration.link_motion import LinkMotion, LinkView
from inhand.perception.cameras import Camera, CameraError
from inhand.perception.objects import ObjectDescription
from inhand.perception.pose.pose import estimate_poses
from inhand.perception.records import TagCorners, frozen_array
from inhand.perception.rotations import Array

DELAYS = np.arange(-0.05, 0.4501, 0.005)
"""Grid of delays for the first search [s]; negative for frames that are stamped before their
exposure."""

MINIMUM_FRAMES = 100
"""Least number of frames with tags while the joints were read."""

MINIMUM_SPEED = 25.0
"""Least root mean square of the corners' speed by the hand's motion [px/s]."""

MAXIMUM_RESIDUAL = 1.5
"""Largest weighted root mean square of the reprojection errors [px]."""

MAXIMUM_DEVIATION = 0.003
"""Largest standard deviation of the delay [s]: at 2 rad/s that is a third of a degree."""

DISTINCT = 0.08
"""A second minimum further away than this makes the delay ambiguous [s]."""

BLOCKS = 12
"""Number of blocks of the recording for the delete-one-block jackknife."""

ITERATIONS = 20
_LEVER = 0.03


@dataclass(frozen=True)
class LatencyReport:
    """Latency of a camera and its uncertainty.

    Attributes:
        camera: the camera with the latency that was found.
        deviation: standard deviation of the latency [s].
        residual: weighted root mean square of the reprojection errors [px].
        speed: root mean square of the corners' speed by the hand's motion [px/s].
        t: times of the used frames minus the latency [s], (n,).
        seen: measured shift of the corners against a hand at rest, of each frame [px], (n, 2).
        followed: the same by the hand's motion and the latency found [px], (n, 2).
        unshifted: the same by the hand's motion without latency [px], (n, 2).
    """

    camera: Camera
    deviation: float
    residual: float
    speed: float
    t: Array
    seen: Array
    followed: Array
    unshifted: Array


def calibrate_latency(
    camera: Camera,
    description: ObjectDescription,
    motion: LinkMotion,
    frames: Sequence[TagCorners],
    tell: Callable[[str], None] = lambda text: None,
) -> LatencyReport:
    """Finds a camera's latency.

    Args:
        camera: as calibrated; its `latency` is already subtracted from the times of the frames.
        description: the object, fixed to the link.
        motion: of the link.
        frames: tag corners of the camera.
        tell: called with the progress.

    Raises:
        CameraError: the frames do not suffice; the message says what to do.
    """
    name = camera.name
    usable = usable_frames(name, motion, frames, tell)
    view = LinkView.of(camera, description, motion, usable)
    start = _coarse(camera, description, motion, usable)
    values, rival = start
    fit = fit_motion(view, values, rival)
    tell(
        f"{name}: {len(usable)} frames, moved at {view.speed(fit.values):.0f} px/s, residual "
        f"{fit.residual:.2f} px, {1000 * fit.values[0]:.1f} ± {1000 * fit.deviation:.1f} ms"
    )
    _judge(name, view, fit)
    expected = view.expected(fit.values)
    still = view.expected(fit.values, delay=None)
    stamped = view.expected(np.concatenate([[0.0], fit.values[1:]]))
    return LatencyReport(
        camera=replace(camera, latency=camera.latency + float(fit.values[0])),
        deviation=fit.deviation,
        residual=fit.residual,
        speed=view.speed(fit.values),
        t=frozen_array(view.t - fit.values[0]),
        seen=frozen_array(view.mean(view.pixels - still)),
        followed=frozen_array(view.mean(expected - still)),
        unshifted=frozen_array(view.mean(stamped - still)),
    )


@dataclass(frozen=True)
class Fit:
    """Solution of the least squares.

    Attributes:
        values: unknowns as in `LinkView`, (13,).
        deviations: their standard deviations, (13,).
        residual: weighted root mean square of the reprojection errors [px].
        rival: delay of a second minimum with a similar cost [s]; None if there is none.
    """

    values: Array
    deviations: Array
    residual: float
    rival: float | None

    @property
    def deviation(self) -> float:
        """Standard deviation of the delay [s]."""
        return float(self.deviations[0])


def usable_frames(
    name: str,
    motion: LinkMotion,
    frames: Sequence[TagCorners],
    tell: Callable[[str], None],
) -> list[TagCorners]:
    """The frames that show the object while there are joint readings for every delay of the grid.

    Args:
        name: of the camera, for messages.
        motion: of the link.
        frames: tag corners of the camera.
        tell: called with the progress.

    Raises:
        CameraError: they do not suffice.
    """
    first, last = motion.t[0] + DELAYS[-1], motion.t[-1] + DELAYS[0]
    usable = [frame for frame in frames if frame.ids and first <= frame.t <= last]
    tell(f"{name}: {len(usable)} frames show the object, {MINIMUM_FRAMES} are needed")
    if len(usable) < MINIMUM_FRAMES:
        raise CameraError(
            f"camera {name!r}: {len(usable)} of {len(frames)} frames show the object while the "
            f"joints were read, {MINIMUM_FRAMES} are needed; record for longer, the object in view"
        )
    return usable


def _coarse(
    camera: Camera, description: ObjectDescription, motion: LinkMotion, frames: Sequence[TagCorners]
) -> tuple[Array, float | None]:
    """Initial values of the unknowns, and the delay of a second minimum with a similar cost.

    With the right delay the object has one pose on the link in all frames.
    """
    rig = {camera.name: camera}
    posed = [(f.t, poses[0]) for f in frames if (poses := estimate_poses(description, rig, [f]))]
    if len(posed) < MINIMUM_FRAMES:
        raise CameraError(
            f"camera {camera.name!r}: {len(posed)} of {len(frames)} frames fit the object "
            f"{description.name!r}, {MINIMUM_FRAMES} are needed; is it the right object, its tags "
            "calibrated?"
        )
    t = np.array([time for time, _ in posed])
    position = np.array([pose.position for _, pose in posed])
    quaternion = np.array([pose.quaternion for _, pose in posed])
    costs, guesses = [], []
    for delay in DELAYS:
        origin, turn = motion.at(t - delay)
        back = rotations.conjugate(turn)
        places = rotations.rotate(back, position - origin)
        turns = rotations.multiply(back, quaternion)
        place = np.median(places, axis=0)
        # The mean of orientations is the first eigenvector of their outer products (Markley et
        # al., "Averaging quaternions", 2007).
        mean = np.linalg.eigh(np.einsum("ni,nj->ij", turns, turns))[1][:, -1]
        apart = np.square(places - place).sum(axis=1) / _LEVER**2
        apart += np.square(rotations.angle_between(turns, mean))
        # The worst fifth is left out: a single face sometimes gives the wrong of its two poses.
        costs.append(float(np.sort(apart)[: int(0.8 * len(apart))].mean()))
        guesses.append(np.concatenate([[delay], place, rotations.log(mean), np.zeros(6)]))
    best = int(np.argmin(costs))
    rivals = [k for k in range(len(DELAYS)) if abs(DELAYS[k] - DELAYS[best]) > DISTINCT]
    second = min(rivals, key=lambda k: costs[k])
    rival = float(DELAYS[second]) if costs[second] < 1.5 * costs[best] else None
    return guesses[best], rival


def fit_motion(view: LinkView, values: Array, rival: float | None = None) -> Fit:
    """Iteratively reweighted Gauss-Newton; deviations by a block jackknife.

    Args:
        view: the corners.
        values: first guess of the unknowns of `LinkView`, (13,).
        rival: delay of a second minimum, for the result [s].

    Errors of a fit are correlated over time, so that corners are not independent of each other;
    blocks nearly are (Efron and Tibshirani, "An introduction to the bootstrap", 11.5).
    """
    prior = np.zeros(len(values))
    prior[7:] = view.prior**-2.0
    block = view.frame * BLOCKS // len(view.t)
    for _ in range(ITERATIONS):
        residual = view.pixels - view.expected(values)
        square = np.square(residual).sum(axis=1)
        sigma = max((float(np.median(square)) / 1.386) ** 0.5, 0.02)
        weight = 1 / (1 + square / (2.5 * sigma) ** 2)
        jacobian = view.derivative(values)
        weighted = jacobian * (weight / sigma**2)[:, None, None]
        parts = np.zeros((BLOCKS, len(values), len(values)))
        pulls = np.zeros((BLOCKS, len(values)))
        for k in range(BLOCKS):
            mine = block == k
            parts[k] = np.einsum("mip,miq->pq", weighted[mine], jacobian[mine])
            pulls[k] = np.einsum("mip,mi->p", weighted[mine], residual[mine])
        information = parts.sum(axis=0) + np.diag(prior)
        # A little damping: the matrix is singular if the hand rests or moves about one axis only.
        information += 1e-9 * np.diag(np.diag(information) + 1.0)
        pull = pulls.sum(axis=0) - prior * values
        step = np.linalg.solve(information, pull)
        step[0] = np.clip(step[0], -0.02, 0.02)
        values = values + step
        values[0] = np.clip(values[0], DELAYS[0], DELAYS[-1])
        if np.abs(step).max() < 1e-6:
            break
    without = np.array(
        [
            np.linalg.solve(information - part, pull - some)
            for part, some in zip(parts, pulls, strict=True)
        ]
    )
    spread = (BLOCKS - 1) / BLOCKS * np.square(without - without.mean(axis=0)).sum(axis=0)
    residual_rms = float(np.sqrt((weight * square).sum() / weight.sum()))
    return Fit(values, np.sqrt(spread), residual_rms, rival)


def _judge(name: str, view: LinkView, fit: Fit) -> None:
    """Refuses an unreliable result."""
    delay, speed = float(fit.values[0]), view.speed(fit.values)
    if fit.residual > MAXIMUM_RESIDUAL:
        raise CameraError(
            f"camera {name!r}: the residual of the best latency is {fit.residual:.1f} px, at most "
            f"{MAXIMUM_RESIDUAL} px are allowed; did the object slip, is it fixed to another "
            "link, or was a camera moved?"
        )
    if speed < MINIMUM_SPEED:
        raise CameraError(
            f"camera {name!r}: the object moved by {speed:.0f} px a second in the image, "
            f"{MINIMUM_SPEED:.0f} are needed; move the link faster and further, to and fro"
        )
    if not DELAYS[0] + 0.005 < delay < DELAYS[-1] - 0.005:
        raise CameraError(
            f"camera {name!r}: the delay lies beyond {1000 * DELAYS[0]:.0f} to "
            f"{1000 * DELAYS[-1]:.0f} ms; do camera and servos share CLOCK_MONOTONIC?"
        )
    if fit.rival is not None:
        raise CameraError(
            f"camera {name!r}: delays of {1000 * delay:.0f} ms and {1000 * fit.rival:.0f} ms fit "
            "the motion about equally well; move less evenly, or faster"
        )
    if fit.deviation > MAXIMUM_DEVIATION:
        raise CameraError(
            f"camera {name!r}: the delay of {1000 * delay:.0f} ms is known to "
            f"{1000 * fit.deviation:.1f} ms only, {1000 * MAXIMUM_DEVIATION:.0f} ms are needed; "
            "record for longer, and turn round more often"
        )
