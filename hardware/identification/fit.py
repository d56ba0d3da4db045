"""Identification of joints and servos from their response to targets: an output-error fit.

The model of `joint_model` is simulated with the targets that were sent, and its parameters minimise
the error to the measured angles (Levenberg-Marquardt; Ljung, System Identification, chapter 7).
Then a linear regression gives the current by the spring's stretch and the velocity.

A delay and the lag of a damped inertia have nearly the same effect, except in the first
milliseconds after a step of the target. So the parameters are their sum, which is well determined,
and the part of the inertia, whose standard deviation may be large and is reported.

All joints are simulated side by side in one batch, which a general solver does not do.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inhand.hardware.model.joint_model import Dynamics, follow
from inhand.hardware.records import Array

STEP = 0.001
"""Time step of the model [s]."""

LONGEST_LAG = 0.2
"""Upper bound of the lag [s]."""

STARTS = 4
"""Number of initial values for each joint, since there may be local minima."""
ITERATIONS = 25
CONVERGED = 0.02
"""Step size at which the iteration ends, in units of `_STEPS`."""

_NOISE = 2 * np.pi / 4096 / np.sqrt(12)
"""Standard deviation of an angle that is rounded to counts [rad]."""

_SHIFTS = np.linspace(-0.003, 0.003, 13)
"""Corrections of the delay that are tried in the regression of the current [s]."""

_STEPS = np.array([0.02, 0.15, 1e-3, 1e-3, 5e-4])
"""Steps of the numerical derivatives: ln(gain / damping), ln(damping), friction and load as stretch
[rad], lag [s]."""


@dataclass(frozen=True)
class Samples:
    """Response of one joint.

    Attributes:
        t: times of the measurements [s], (n,).
        position: measured angles [rad], (n,).
        current: measured currents [A], (n,).
        carried: displacement by the inertial coupling to the other joints [rad], (n,): the sum of
            their motions, weighted with the mass matrix.
        sent_at: times of the targets [s], (m,).
        targets: commanded angles until the next target [rad], (m,).
    """

    t: Array
    position: Array
    current: Array
    carried: Array
    sent_at: Array
    targets: Array


@dataclass(frozen=True)
class Guess:
    """Initial values from the hand file.

    Attributes:
        gain: over the inertia [1/s²].
        damping: over the inertia [1/s].
    """

    gain: float
    damping: float


@dataclass(frozen=True)
class Fit:
    """Parameters of one joint, divided by its inertia: positions alone do not determine torques.

    Attributes:
        gain: [1/s²].
        damping: [1/s].
        friction: [rad/s²].
        load: constant torque over the inertia [rad/s²].
        delay: from sending a target to the servo's torque [s].
        current_per_stretch: [A/rad].
        position_residual: root mean square [rad].
        current_residual: root mean square [A].
        inertia_deviation: relative standard deviation of the inertia's part, and so of `gain` and
            all other parameters that are divided by the inertia.
        model: angles of the fitted model at the samples' times [rad], (n,).
    """

    gain: float
    damping: float
    friction: float
    load: float
    delay: float
    current_per_stretch: float
    position_residual: float
    current_residual: float
    inertia_deviation: float
    model: Array


def identify(recorded: Sequence[Samples], guesses: Sequence[Guess]) -> list[Fit]:
    """Fits every joint on its own; all are simulated side by side.

    Args:
        recorded: samples of each joint, which start at rest.
        guesses: initial values of each joint.
    """
    starts = [_Search([one]).starts(guess) for one, guess in zip(recorded, guesses, strict=True)]
    many = _Search([one for one in recorded for _ in range(STARTS)])
    ends = many.descend(np.concatenate(starts)).reshape(len(recorded), STARTS, len(_STEPS))
    search = _Search(recorded)
    return search.fits(search.best(ends))


class _Search:
    """The fit of all joints at once; parameters are (joints, 5), in the order of `_STEPS`."""

    def __init__(self, recorded: Sequence[Samples]) -> None:
        self._recorded = recorded
        self._steps = max(int((one.t[-1] - one.t[0]) / STEP) + 2 for one in recorded)
        self._grids = [one.t[0] + STEP * np.arange(self._steps + 1) for one in recorded]
        self._kicks = [_kicks(*both) for both in zip(recorded, self._grids, strict=True)]
        self._start = np.array([one.position[:10].mean() for one in recorded])

    def starts(self, guess: Guess) -> Array:
        """The best points of a grid around a guess, (STARTS, 5); for a search with one joint."""
        ratio, damping, delay = (
            x.ravel()
            for x in np.meshgrid(
                np.log([0.3, 0.7, 1.6, 3.5]),
                np.log([0.3, 0.7, 1.6, 3.5]),
                [0.0, 0.015, 0.03, 0.045, 0.06, 0.09],
                indexing="ij",
            )
        )
        inner = np.log(guess.damping) + damping
        outer = np.log(guess.gain / guess.damping) + ratio
        zeros = np.zeros_like(inner)
        # Deflection by the load at rest.
        sag = np.full_like(inner, self._start[0] - self._recorded[0].targets[0])
        grid = np.stack([outer, inner, zeros, sag, delay + np.exp(-inner)], axis=-1)
        (residuals,) = self._residuals(grid[None])
        return grid[np.argsort((residuals**2).sum(axis=1))[:STARTS]]

    def best(self, candidates: Array) -> Array:
        """The best candidate of each joint, of (joints, candidates, 5)."""
        best = [int((one**2).sum(axis=1).argmin()) for one in self._residuals(candidates)]
        return candidates[np.arange(len(best)), best]

    def descend(self, at: Array) -> Array:
        """Levenberg-Marquardt, with its own damping factor for each joint."""
        factor, moving = np.full(len(at), 1e-3), np.ones(len(at), dtype=np.bool_)
        base, jacobians = self._linearized(at)
        for _ in range(ITERATIONS):
            steps = np.stack([_step(*one) for one in zip(jacobians, base, factor, strict=True)])
            trial = _possible(at + np.where(moving[:, None], steps, 0.0) * _STEPS)
            then, ahead = self._linearized(trial)
            better = moving & (_squares(then) < _squares(base))
            small = (np.abs(trial - at) < CONVERGED * _STEPS).all(axis=1)
            at = np.where(better[:, None], trial, at)
            for j in np.flatnonzero(better):
                base[j], jacobians[j] = then[j], ahead[j]
            factor = np.where(better, factor / 5, factor * 5)
            moving &= ~small & (factor < 1e6)
            if not moving.any():
                break
        return at

    def fits(self, at: Array) -> list[Fit]:
        """The results with their standard deviations."""
        base, jacobians = self._linearized(at)
        fits = []
        for j, models in enumerate(self._models(at[:, None])):
            one, (angle, velocity) = self._recorded[j], models[0]
            ratio, inner, friction, load, lag = at[j].tolist()
            gain = float(np.exp(ratio + inner))
            noise = max(float(np.sqrt(np.mean(base[j] ** 2))), 1.0)
            information = jacobians[j].T @ jacobians[j] + 1e-9 * np.eye(len(_STEPS))
            spread = noise * np.sqrt(np.linalg.inv(information)[1, 1]) * _STEPS[1]
            delay = lag - float(np.exp(-inner))
            per_stretch, left = _current(one, delay, velocity)
            fits.append(
                Fit(
                    gain=gain,
                    damping=float(np.exp(inner)),
                    friction=friction * gain,
                    load=load * gain,
                    delay=delay,
                    current_per_stretch=per_stretch,
                    position_residual=float(np.sqrt(np.mean((one.position - angle) ** 2))),
                    current_residual=left,
                    inertia_deviation=float(spread),
                    model=angle,
                )
            )
        return fits

    def _linearized(self, at: Array) -> tuple[list[Array], list[Array]]:
        """Residuals of each joint, and their numerical derivatives."""
        shifted = at[:, None] + np.eye(len(_STEPS)) * _STEPS
        rows = self._residuals(np.concatenate([at[:, None], shifted], axis=1))
        return [row[0] for row in rows], [(row[1:] - row[0]).T for row in rows]

    def _residuals(self, candidates: Array) -> list[Array]:
        """Residuals of each joint's angles, in units of their noise, (candidates, n)."""
        return [
            np.array([(self._recorded[j].position - angle) / _NOISE for angle, _ in models])
            for j, models in enumerate(self._models(candidates))
        ]

    def _models(self, candidates: Array) -> list[list[tuple[Array, Array]]]:
        """Angle and velocity at the samples' times, of each joint and candidate."""
        ratio, inner, friction, load, lag = np.moveaxis(candidates, -1, 0)
        gain, damping = np.exp(ratio + inner), np.exp(inner)
        delays = lag - 1.0 / damping
        targets, kicks = np.empty((2, self._steps, *delays.shape))
        for j, one in enumerate(self._recorded):
            kicks[:, j] = self._kicks[j][:, None]
            for c, delay in enumerate(delays[j]):
                targets[:, j, c] = np.diff(_integral(one, self._grids[j] - delay)) / STEP
        dynamics = Dynamics(gain, damping, np.maximum(friction, 0.0) * gain, load * gain)
        start = np.broadcast_to(self._start[:, None], delays.shape)
        angles, velocities = follow(dynamics, start, targets, kicks, STEP)
        return [
            [
                (
                    np.interp(one.t, grid, angles[:, j, c]),
                    np.interp(one.t, grid, velocities[:, j, c]),
                )
                for c in range(delays.shape[1])
            ]
            for j, (one, grid) in enumerate(zip(self._recorded, self._grids, strict=True))
        ]


def _possible(at: Array) -> Array:
    """Parameters with friction, delay and lag clipped to their bounds."""
    ratio, inner, friction, load, lag = at.T
    # The lag is at least that of the inertia: the delay is not negative.
    lag = np.clip(lag, np.exp(-inner), LONGEST_LAG + np.exp(-inner))
    return np.stack([ratio, inner, np.maximum(friction, 0.0), load, lag], axis=1)


def _step(jacobian: Array, residual: Array, factor: float) -> Array:
    """A Levenberg-Marquardt step in units of `_STEPS`."""
    information = jacobian.T @ jacobian
    damped = information + factor * np.diag(np.diag(information)) + 1e-9 * np.eye(len(_STEPS))
    step: Array = np.clip(np.linalg.solve(damped, -jacobian.T @ residual), -40.0, 40.0)
    return step


def _squares(residuals: Sequence[Array]) -> Array:
    return np.array([float(one @ one) for one in residuals])


def _current(samples: Samples, delay: float, velocity: Array) -> tuple[float, float]:
    """Current by stretch [A/rad], and root mean square of the residual current [A].

    At a step of the target, an error of one millisecond gives a sample the wrong stretch. So the
    delay is optimised once more, around the one of the fit.
    """
    best = 0.0, np.inf
    for shift in _SHIFTS:
        at = np.searchsorted(samples.sent_at, samples.t - delay - shift, side="right") - 1
        stretch = samples.targets[np.maximum(at, 0)] - samples.position
        columns = np.stack([stretch, velocity, np.ones_like(stretch)], axis=1)
        factors = np.linalg.lstsq(columns, samples.current, rcond=None)[0]
        left = float(np.sqrt(np.mean((samples.current - columns @ factors) ** 2)))
        if left < best[1]:
            best = float(factors[0]), left
    return best


def _kicks(samples: Samples, grid: Array) -> Array:
    """Changes of the joint's velocity in each step by the other joints' inertia [rad/s]."""
    carried = np.interp(grid, samples.t, samples.carried)
    speed = np.diff(carried) / STEP
    kicks: Array = -np.diff(speed, prepend=0.0)
    return kicks


def _integral(samples: Samples, t: Array) -> Array:
    """Integral of the target over time, from the first target on [rad s]."""
    sums = np.concatenate([[0.0], np.cumsum(np.diff(samples.sent_at) * samples.targets[:-1])])
    at = np.maximum(np.searchsorted(samples.sent_at, t, side="right") - 1, 0)
    integral: Array = sums[at] + (t - samples.sent_at[at]) * samples.targets[at]
    return integral
