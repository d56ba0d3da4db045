"""Joint commands of clients in mode `manual`: single targets, and targets with times."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from inhand.controller.errors import RefusedError
from inhand.hardware.model.hand import Hand
from inhand.hardware.records import Array

SPEED_MARGIN = 1e-6
"""Share by which a trajectory may exceed a joint's speed, for rounding."""


@dataclass(frozen=True)
class Trajectory:
    """Targets with times.

    Attributes:
        times: from the beginning [s], increasing, the first one 0, (n,).
        points: targets at these times [rad], (n, n_actuators).
    """

    times: Array
    points: Array


class JointCommands:
    """What clients asked for last, and where the targets are to be at a given time.

    Attributes:
        deadline: time at which mode `manual` ends without another command [s].
    """

    def __init__(self) -> None:
        self.deadline = 0.0
        self._wanted: Array | None = None
        self._destination: Array | None = None
        self._speed = 0.0
        self._times: Array | None = None
        self._points: Array | None = None
        self._began = 0.0

    def begin(self, position: Array) -> None:
        """Forgets all commands: the targets stay at a position [rad], (n_actuators,)."""
        self._wanted = self._destination = position
        self._times = self._points = None

    def aim(self, destination: Array, speed: float) -> None:
        """From now on the targets move straight to a destination; this ends a trajectory.

        Args:
            destination: [rad], (n_actuators,).
            speed: of the joint with the longest way [rad/s].
        """
        self._destination, self._speed = destination, speed
        self._times = self._points = None

    def follow(self, t: float, trajectory: Trajectory) -> None:
        """From `t` [s] on, the targets follow a trajectory."""
        self._began, self._times, self._points = t, trajectory.times, trajectory.points
        self._destination = trajectory.points[-1]

    def advance(self, t: float, dt: float) -> Array:
        """The targets of the tick at `t` [s], which lasts `dt` [s]; [rad], (n_actuators,)."""
        assert self._wanted is not None and self._destination is not None
        if self._times is not None and self._points is not None:
            passed = min(t - self._began, self._times[-1])
            after = min(max(int(np.searchsorted(self._times, passed)), 1), len(self._times) - 1)
            start, end = self._times[after - 1], self._times[after]
            share = (passed - start) / (end - start)
            before = self._points[after - 1]
            self._wanted = before + share * (self._points[after] - before)
        else:
            way = self._destination - self._wanted
            longest = float(np.abs(way).max())
            self._wanted = self._wanted + way * min(1.0, self._speed * dt / max(longest, 1e-9))
        return self._wanted

    @property
    def destination(self) -> Array:
        """Where the targets are to be in the end [rad], (n_actuators,)."""
        assert self._destination is not None
        return self._destination

    def lasting(self, present: Array) -> Array:
        """Targets of the joints that a new command does not name [rad], (n_actuators,).

        They go on to where they were sent before; those of a trajectory stop.

        Args:
            present: where the targets are [rad], (n_actuators,).
        """
        return self.destination if self._times is None else present

    def seconds_left(self, t: float) -> float:
        """Time until the trajectory ends [s]; 0 without one."""
        if self._times is None:
            return 0.0
        return max(0.0, float(self._began + self._times[-1] - t))


def complete(
    hand: Hand, positions: Mapping[str, float] | Sequence[float], present: Array, request: str
) -> Array:
    """Targets for all actuators [rad], (n_actuators,).

    Args:
        hand: the hand.
        positions: by actuator, or all in actuator order [rad].
        present: for the actuators that are not named [rad], (n_actuators,).
        request: its type, for messages.

    Raises:
        RefusedError: an unknown actuator, too many or too few numbers, or a target that is out of
            its joint's range.
    """
    if not isinstance(positions, Mapping):
        require_count(hand, len(positions), request)
        targets = np.array(positions, dtype=np.float64)
        given = np.ones(hand.n_actuators, dtype=np.bool_)
    else:
        targets, given = present.copy(), np.zeros(hand.n_actuators, dtype=np.bool_)
        for name, angle in positions.items():
            at = index_of(hand, name, request)
            targets[at], given[at] = angle, True
    require_range(hand, np.where(given, targets, hand.rest)[None], request)
    return targets


def timed(
    hand: Hand,
    times: Sequence[float],
    positions: Sequence[Sequence[float]],
    names: Sequence[str],
    present: Array,
) -> Trajectory:
    """A trajectory for all actuators, which begins where the targets are.

    Args:
        hand: the hand.
        times: [s], above 0 and increasing, (n,).
        positions: targets at these times [rad], n rows with an element for each of `names`.
        names: of the actuators that move; all in actuator order if empty.
        present: where the targets are [rad], (n_actuators,).

    Raises:
        RefusedError: rows of the wrong length, an unknown actuator, a target out of its joint's
            range, or a speed that a joint must not have.
    """
    columns = [index_of(hand, name, "trajectory") for name in names] or range(hand.n_actuators)
    if len(set(columns)) < len(columns):
        raise RefusedError("invalid", "trajectory: a joint is named twice")
    for row in positions:
        if len(row) != len(columns):
            raise RefusedError(
                "invalid", f"trajectory: {len(row)} positions in a row for {len(columns)} joints"
            )
    moved = np.array(positions, dtype=np.float64)
    checked = np.tile(hand.rest, (len(times), 1))
    checked[:, list(columns)] = moved
    require_range(hand, checked, "trajectory")
    points = np.tile(present, (len(times) + 1, 1))
    points[1:, list(columns)] = moved
    stamps = np.array([0.0, *times])
    speeds = np.abs(np.diff(points, axis=0)) / np.diff(stamps)[:, None]
    step, at = divmod(int(np.argmax(speeds / hand.velocity_limit)), hand.n_actuators)
    limit = hand.velocity_limit[at]
    if speeds[step, at] > limit * (1 + SPEED_MARGIN):
        raise RefusedError(
            "invalid",
            f"trajectory: {hand.actuator_names[at]} would have to move at {speeds[step, at]:.3g} "
            f"rad/s until {stamps[step + 1]:g} s, its limit is {limit:g} rad/s; give it more time",
        )
    return Trajectory(stamps, points)


def require_count(hand: Hand, count: int, request: str) -> None:
    """There is one number for each actuator."""
    if count != hand.n_actuators:
        raise RefusedError(
            "invalid", f"{request}: {count} positions for the {hand.n_actuators} of {hand.name}"
        )


def index_of(hand: Hand, name: str, request: str) -> int:
    """The number of an actuator; refused if there is none with this name."""
    if name not in hand.actuator_names:
        known = ", ".join(hand.actuator_names)
        raise RefusedError(
            "invalid", f"{request}: {hand.name} has no joint {name!r:.40}; it has {known}"
        )
    return hand.actuator_names.index(name)


def require_range(hand: Hand, targets: Array, request: str) -> None:
    """All targets [rad], (n, n_actuators), are in the joints' ranges."""
    outside = ~((targets >= hand.lower) & (targets <= hand.upper))
    if outside.any():
        row, at = np.argwhere(outside)[0]
        raise RefusedError(
            "invalid",
            f"{request}: {targets[row, at]:g} rad is out of the range of "
            f"{hand.actuator_names[at]}, {hand.lower[at]:g} to {hand.upper[at]:g} rad",
        )
