"""How late a camera's time stamps are, from an object that a moving hand carries.

The object sits fast on a link of the hand, whose motion the encoders tell. The delay is the shift
of time by which that motion explains best what the camera saw. Where the object sits on the link
is found along the way, and so is what the camera's place is off by, within what it may be.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from perception import rotations
from perception.adjustment import matrix
from perception.cameras import Camera, CameraError
from perception.objects import ObjectDescription
from perception.pose import estimate_poses
from perception.records import TagCorners, frozen_array
from perception.rotations import Array

DELAYS = np.arange(-0.05, 0.4501, 0.005)
"""Delays that are tried before the best is refined [s]; below zero for frames stamped before
their exposure."""

MINIMUM_FRAMES = 100
"""With tags, while the joints were read."""

MINIMUM_SPEED = 25.0
"""Root mean square of a corner's speed that the hand's motion implies [px/s]."""

MAXIMUM_RESIDUAL = 1.5
"""Weighted root mean square of the corners' distances [px]."""

MAXIMUM_DEVIATION = 0.003
"""Standard deviation of the delay [s]: at 2 rad/s that is a third of a degree."""

DISTINCT = 0.08
"""Delays further apart than this are told apart by the motion, or the motion is refused [s]."""

POSITION_PRIOR, ROTATION_PRIOR = 0.003, 0.015
"""What a camera's place may be off by at least [m, rad], hand and bearings included."""

BLOCKS = 12
"""Parts of the recording that are left out in turn to see how far the result depends on each."""

ITERATIONS = 20
_LEVER = 0.03


@dataclass(frozen=True)
class LinkMotion:
    """Where a link was, by what the encoders said.

    Attributes:
        t: times of the readings, increasing [s], (n,).
        position: of the link, world frame [m], (n, 3).
        quaternion: world from link, wxyz, (n, 4).
    """

    t: Array
    position: Array
    quaternion: Array

    def at(self, t: Array) -> tuple[Array, Array]:
        """Positions [m], (m, 3), and quaternions (wxyz), (m, 4), at times within the readings."""
        after = np.clip(np.searchsorted(self.t, t), 1, len(self.t) - 1)
        share = ((t - self.t[after - 1]) / (self.t[after] - self.t[after - 1]))[:, None]
        one, other = self.quaternion[after - 1], self.quaternion[after]
        # The shorter way round: q and -q are one orientation.
        other = np.where((one * other).sum(axis=1, keepdims=True) < 0, -other, other)
        place = (1 - share) * self.position[after - 1] + share * self.position[after]
        return place, rotations.normalize((1 - share) * one + share * other)


@dataclass(frozen=True)
class LatencyReport:
    """How late a camera is, and how sure that is.

    Attributes:
        camera: the camera, its `latency` as found.
        deviation: standard deviation of the latency [s].
        residual: weighted root mean square of the corners' distances [px].
        speed: root mean square of the corners' speed by the hand's motion [px/s].
        t: of the frames that count, after the latency was taken off [s], (n,).
        seen: shift of the corners against a hand at rest, of each frame [px], (n, 2).
        followed: the same by the hand's motion [px], (n, 2).
        unshifted: the same with the frames' times as they were stamped [px], (n, 2).
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
) -> LatencyReport:
    """Finds a camera's latency.

    Args:
        camera: as calibrated; the times of the frames have its `latency` taken off already.
        description: the object, fixed to the link.
        motion: of the link.
        frames: what the camera saw.

    Raises:
        CameraError: the frames do not suffice; says what to do.
    """
    name = camera.name
    usable = [frame for frame in frames if frame.ids and _covered(motion, frame.t)]
    if len(usable) < MINIMUM_FRAMES:
        raise CameraError(
            f"camera {name!r}: {len(usable)} of {len(frames)} frames show the object while the "
            f"joints were read, {MINIMUM_FRAMES} are needed; record for longer, the object in view"
        )
    view = _View.of(camera, description, motion, usable)
    start = _coarse(camera, description, motion, usable)
    fit = _refine(view, start)
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
class _View:
    """All corners that a camera saw, row by row: m of them in f frames.

    The unknowns are the delay [s], the object's place [m] and turn [rad] on the link, and what the
    camera is off by: turn [rad] and place [m] in its own frame, (13,).
    """

    camera: Camera
    motion: LinkMotion
    t: Array
    frame: NDArray[np.intp]
    points: Array
    pixels: Array

    @classmethod
    def of(
        cls,
        camera: Camera,
        description: ObjectDescription,
        motion: LinkMotion,
        frames: Sequence[TagCorners],
    ) -> "_View":
        counts = [4 * len(frame.ids) for frame in frames]
        return cls(
            camera=camera,
            motion=motion,
            t=np.array([frame.t for frame in frames]),
            frame=np.repeat(np.arange(len(frames)), counts),
            points=np.concatenate([description.tag(i).corners for f in frames for i in f.ids]),
            pixels=np.concatenate([frame.corners.reshape(-1, 2) for frame in frames]),
        )

    @property
    def prior(self) -> Array:
        """Standard deviations of what the camera is off by, (6,)."""
        turn = max(self.camera.rotation_sigma, ROTATION_PRIOR)
        return np.repeat([turn, max(self.camera.position_sigma, POSITION_PRIOR)], 3)

    def expected(self, values: Array, delay: float | None = 0.0) -> Array:
        """Pixels, (m, 2), by the unknowns and a further delay [s]; None for a link at rest."""
        if delay is None:
            place, turn = (x[[0]] for x in self.motion.at(np.array([np.median(self.t)])))
            link = rotations.to_matrix(turn)[np.zeros_like(self.frame)]
            origin = place[np.zeros_like(self.frame)]
        else:
            place, turn = self.motion.at(self.t - values[0] - delay)
            link, origin = rotations.to_matrix(turn)[self.frame], place[self.frame]
        on_link = self.points @ matrix(values[4:7]).T + values[1:4]
        world = (link @ on_link[:, :, None])[..., 0] + origin
        into = rotations.to_matrix(self.camera.quaternion)
        local = (world - self.camera.position) @ into @ matrix(values[7:10]).T + values[10:13]
        # Behind the lens there is nothing to see: far away, and without a say.
        local[:, 2] = np.maximum(local[:, 2], 1e-3)
        found, _ = cv2.projectPoints(
            local, np.zeros(3), np.zeros(3), self.camera.matrix, self.camera.distortion
        )
        return np.asarray(found, dtype=np.float64).reshape(-1, 2)

    def derivative(self, values: Array) -> Array:
        """Of `expected` by the unknowns, (m, 2, 13), by differences."""
        columns = []
        for k in range(len(values)):
            # Readings are 10 ms apart, and joined by straight lines.
            step = np.zeros(len(values))
            step[k] = 0.004 if k == 0 else 1e-5
            change = self.expected(values + step) - self.expected(values - step)
            columns.append(change / (2 * step[k]))
        return np.stack(columns, axis=-1)

    def speed(self, values: Array) -> float:
        """Root mean square of the corners' speed [px/s]."""
        change = self.expected(values, 0.01) - self.expected(values, -0.01)
        return float(np.sqrt(np.square(change / 0.02).sum(axis=1).mean()))

    def mean(self, values: Array) -> Array:
        """Means over each frame's corners, (f, 2), of something of each, (m, 2)."""
        sums = np.zeros((len(self.t), 2))
        np.add.at(sums, self.frame, values)
        return sums / np.bincount(self.frame)[:, None]


@dataclass(frozen=True)
class _Fit:
    """The unknowns where they explain the corners best.

    Attributes:
        values: see `_View`, (13,).
        deviation: of the delay [s].
        residual: weighted root mean square of the corners' distances [px].
        rival: another delay that does about as well [s]; None if there is none.
    """

    values: Array
    deviation: float
    residual: float
    rival: float | None


def _covered(motion: LinkMotion, t: float) -> bool:
    """Whether the joints are known for every delay that is tried."""
    return bool(motion.t[0] <= t - DELAYS[-1] and t - DELAYS[0] <= motion.t[-1])


def _coarse(
    camera: Camera, description: ObjectDescription, motion: LinkMotion, frames: Sequence[TagCorners]
) -> tuple[Array, float | None]:
    """First guesses of the unknowns, and a delay that does about as well.

    With the right delay the object is at one place on the link in all frames.
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
        # A face seen alone may be taken for its mirror image now and then.
        costs.append(float(np.sort(apart)[: int(0.8 * len(apart))].mean()))
        guesses.append(np.concatenate([[delay], place, rotations.log(mean), np.zeros(6)]))
    best = int(np.argmin(costs))
    rivals = [k for k in range(len(DELAYS)) if abs(DELAYS[k] - DELAYS[best]) > DISTINCT]
    second = min(rivals, key=lambda k: costs[k])
    rival = float(DELAYS[second]) if costs[second] < 1.5 * costs[best] else None
    return guesses[best], rival


def _refine(view: _View, start: tuple[Array, float | None]) -> _Fit:
    """Iteratively reweighted Gauss-Newton; the delay's deviation by leaving out parts in turn.

    What is wrong with a fit is wrong for a while, so that corners are not independent of each
    other; whole parts nearly are (Efron and Tibshirani, "An introduction to the bootstrap", 11.5).
    """
    values, rival = start
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
        # A trace of damping: nothing is told by a hand that rests, or has one axis only.
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
            np.linalg.solve(information - part, pull - some)[0]
            for part, some in zip(parts, pulls, strict=True)
        ]
    )
    spread = (BLOCKS - 1) / BLOCKS * np.square(without - without.mean()).sum()
    residual_rms = float(np.sqrt((weight * square).sum() / weight.sum()))
    return _Fit(values, float(np.sqrt(spread)), residual_rms, rival)


def _judge(name: str, view: _View, fit: _Fit) -> None:
    """Refuses a result that cannot be trusted."""
    delay, speed = float(fit.values[0]), view.speed(fit.values)
    if fit.residual > MAXIMUM_RESIDUAL:
        raise CameraError(
            f"camera {name!r}: corners lie {fit.residual:.1f} px from where the hand's motion has "
            f"them, {MAXIMUM_RESIDUAL} px are allowed; did the object slip, does it sit on another "
            "link, or was a camera moved?"
        )
    if speed < MINIMUM_SPEED:
        raise CameraError(
            f"camera {name!r}: the hand moved what the camera sees by {speed:.0f} px a second, "
            f"{MINIMUM_SPEED:.0f} are needed; move the link faster and further, to and fro"
        )
    if not DELAYS[0] + 0.005 < delay < DELAYS[-1] - 0.005:
        raise CameraError(
            f"camera {name!r}: the delay lies beyond {1000 * DELAYS[0]:.0f} to "
            f"{1000 * DELAYS[-1]:.0f} ms; do camera and servos share CLOCK_MONOTONIC?"
        )
    if fit.rival is not None:
        raise CameraError(
            f"camera {name!r}: {1000 * delay:.0f} ms of delay explain the motion about as well as "
            f"{1000 * fit.rival:.0f} ms; move less evenly, or faster"
        )
    if fit.deviation > MAXIMUM_DEVIATION:
        raise CameraError(
            f"camera {name!r}: the delay of {1000 * delay:.0f} ms is known to "
            f"{1000 * fit.deviation:.1f} ms only, {1000 * MAXIMUM_DEVIATION:.0f} ms are needed; "
            "record for longer, and turn round more often"
        )
