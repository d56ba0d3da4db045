"""How late a camera's time stamps are, from an object that a moving hand carries.

The object sits fast on a link of the hand, whose motion the encoders tell. The delay is the shift
of time by which that motion explains best what the camera saw. Where the object sits on the link
is found along the way, and so is what the camera's place is off by, within what it may be.
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

BLOCKS = 12
"""Parts of the recording that are left out in turn to see how far the result depends on each."""

ITERATIONS = 20
_LEVER = 0.03


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
    tell: Callable[[str], None] = lambda text: None,
) -> LatencyReport:
    """Finds a camera's latency.

    Args:
        camera: as calibrated; the times of the frames have its `latency` taken off already.
        description: the object, fixed to the link.
        motion: of the link.
        frames: what the camera saw.
        tell: is told how far it is.

    Raises:
        CameraError: the frames do not suffice; says what to do.
    """
    name = camera.name
    usable = [frame for frame in frames if frame.ids and _covered(motion, frame.t)]
    tell(f"{name}: {len(usable)} frames show the object, {MINIMUM_FRAMES} are needed")
    if len(usable) < MINIMUM_FRAMES:
        raise CameraError(
            f"camera {name!r}: {len(usable)} of {len(frames)} frames show the object while the "
            f"joints were read, {MINIMUM_FRAMES} are needed; record for longer, the object in view"
        )
    view = LinkView.of(camera, description, motion, usable)
    start = _coarse(camera, description, motion, usable)
    fit = _refine(view, start)
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
class _Fit:
    """The unknowns where they explain the corners best.

    Attributes:
        values: see `LinkView`, (13,).
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


def _refine(view: LinkView, start: tuple[Array, float | None]) -> _Fit:
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


def _judge(name: str, view: LinkView, fit: _Fit) -> None:
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
