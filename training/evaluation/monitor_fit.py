"""Fits a monitor's statistics: directions in which adverse worlds differ, and their thresholds."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from inhand.controller.policy.monitor import Model
from inhand.controller.policy.monitor_features import REGRESSORS
from inhand.hardware.model.hand import Hand
from inhand.hardware.records import Array

SHRINKAGE = 0.1
"""Share of the diagonal in the covariance of the features."""

LEAST_VARIANCE = 1e-4
"""Added to each feature's variance: some never change in nominal worlds."""

TAILS = (0.02, 0.001)
"""Shares of the windows from which the tail of a statistic is extrapolated. Some statistics have
rare windows far beyond what the larger share tells, of a finger that is caught for instance."""

FEWEST_BEYOND = 50
"""Windows that a tail needs; half a second apart, they are not independent."""

LEAST_FOUND = 0.3
"""Share of the windows of an axis that must be found for its statistic to be kept: one that finds
nothing only adds false alarms."""

ALARMS, WINDOWS_PER_HOUR, WINDOWS_AN_ALARM = 0.3, 7200, 4.0
"""Wanted alarms an hour of all statistics together in nominal worlds, well below the promised one
as tails are extrapolated; windows an hour; windows in a row that an alarm takes."""

ALARMS_IN_RANGE = 6.0
"""The same in worlds drawn as in training, in which some axes are near their ends."""

SERVO_AXES = (
    *("actuator_gain", "torque_limit", "joint_damping", "backlash", "compliance"),
    *("joint_friction", "action_latency", "joint_noise"),
)
"""Axes whose worlds show what a single servo does when it is off."""


@dataclass(frozen=True)
class Background:
    """Windows of worlds that are as in training.

    Attributes:
        nominal: of nominal worlds, (n, F).
        varied: of worlds drawn in the range of training, (m, F).
    """

    nominal: Array
    varied: Array

    def covariance(self) -> Array:
        """Of both kinds, so that no statistic grows with what training has shown; shrunk."""
        both = [np.cov(windows, rowvar=False) for windows in (self.nominal, self.varied)]
        spread = np.mean(both, axis=0)
        diagonal = np.diag(np.diag(spread) + LEAST_VARIANCE)
        return np.asarray((1 - SHRINKAGE) * spread + SHRINKAGE * diagonal)


def direction(spread: Array, shift: Array) -> Array:
    """Fisher's linear discriminant, with unit deviation under the covariance, (F,)."""
    found = np.linalg.solve(spread, shift)
    return np.asarray(found / np.sqrt(found @ spread @ found + 1e-12))


def servo_columns(hand: Hand, servo: int) -> list[int]:
    """Columns of the features that belong to one servo."""
    n = hand.n_actuators
    products = range(servo * REGRESSORS, (servo + 1) * REGRESSORS)
    return [*products, *(n * REGRESSORS + kind * n + servo for kind in range(3))]


def thresholds(background: Background, center: Array, rows: Array, total: int) -> Array:
    """Values that the statistics exceed as seldom as wanted, by exponential tails, (D,).

    The largest of all kinds of windows and of all tails that have enough of them.

    Args:
        background: windows of worlds that are as in training.
        center: from which statistics are measured, (F,).
        rows: the statistics, (D, F).
        total: number of all statistics, which share the alarms.
    """
    wanted = ((background.nominal, ALARMS), (background.varied, ALARMS_IN_RANGE))
    found = []
    for windows, alarms in wanted:
        statistics = (windows - center) @ rows.T
        share = alarms * WINDOWS_AN_ALARM / (WINDOWS_PER_HOUR * total)
        for tail in TAILS:
            if tail == TAILS[0] or tail * len(windows) >= FEWEST_BEYOND:
                start = np.quantile(statistics, 1 - tail, axis=0)
                beyond = np.where(statistics > start, statistics - start, np.nan)
                found.append(start + np.nanmean(beyond, axis=0) * np.log(tail / share))
    return np.asarray(np.max(found, axis=0))


def fit(
    hand: Hand, model: Model, background: Background, adverse: Mapping[str, tuple[Array, Array]]
) -> Model:
    """The model with its statistics.

    Args:
        hand: the hand.
        model: with the predictions alone.
        background: windows of worlds that are as in training.
        adverse: windows of adverse worlds by axis and side, in two halves from different worlds,
            (n, F) each.
    """
    spread, center = background.covariance(), background.nominal.mean(0)
    total = len(adverse) * (1 + hand.n_actuators)
    rows, names = [], []
    for name, halves in adverse.items():
        found = []
        for one, other in (halves, halves[::-1]):
            row = direction(spread, one.mean(0) - center)
            (threshold,) = thresholds(background, center, row[None], total)
            found.append(float(np.mean((other - center) @ row > threshold)))
        if np.mean(found) >= LEAST_FOUND:
            rows.append(direction(spread, np.concatenate(halves).mean(0) - center))
            names.append(name)
    of_axes = len(rows)
    for servo, servo_name in enumerate(hand.actuator_names):
        columns = servo_columns(hand, servo)
        own = spread[np.ix_(columns, columns)]
        for name in names[:of_axes]:
            if name.split()[0] in SERVO_AXES:
                shift = np.concatenate(adverse[name]).mean(0) - center
                row = np.zeros(len(center))
                row[columns] = direction(own, shift[columns])
                rows.append(row)
                names.append(f"{servo_name}: {name}")
    directions = np.array(rows).reshape(len(rows), len(center))
    return Model(
        weights=model.weights,
        deviation=model.deviation,
        scale=model.scale,
        center=center,
        directions=directions,
        thresholds=thresholds(background, center, directions, len(rows)),
        names=tuple(names),
        servos=len(rows) - of_axes,
    )
