"""Fits a monitor's statistics: directions in which adverse worlds differ, and their thresholds."""

from collections.abc import Mapping

import numpy as np

from inhand.controller.policy.monitor_features import REGRESSORS
from inhand.hardware.model.hand import Hand
from inhand.hardware.records import Array

SHRINKAGE = 0.1
"""Share of the diagonal in the covariance of the features."""

TAIL = 0.02
"""Share of the windows from which the tail of a statistic is extrapolated."""

SERVO_AXES = ("actuator_gain", "torque_limit", "joint_damping", "backlash", "compliance")
SERVO_AXES += ("joint_friction", "action_latency", "joint_noise", "joint_latency")
"""Axes whose worlds show what a single servo does when it is off."""


def covariance(windows: Array) -> Array:
    """Covariance of windows, (n, F), shrunk towards its diagonal."""
    spread = np.cov(windows, rowvar=False)
    diagonal = np.diag(np.diag(spread) + 1e-9)
    return np.asarray((1 - SHRINKAGE) * spread + SHRINKAGE * diagonal)


def direction(spread: Array, shift: Array) -> Array:
    """Fisher's linear discriminant, with unit deviation under the covariance, (F,)."""
    found = np.linalg.solve(spread, shift)
    return np.asarray(found / np.sqrt(found @ spread @ found))


def servo_columns(hand: Hand, servo: int) -> list[int]:
    """Columns of the features that belong to one servo."""
    n = hand.n_actuators
    products = range(servo * REGRESSORS, (servo + 1) * REGRESSORS)
    return [*products, *(n * REGRESSORS + kind * n + servo for kind in range(3))]


def directions(
    hand: Hand, background: Array, adverse: Mapping[str, Array]
) -> tuple[Array, tuple[str, ...], int]:
    """All statistics: `directions`, `names` and `servos` of a `Model`.

    Args:
        hand: the hand.
        background: windows of worlds that are as in training, (n, F).
        adverse: windows of adverse worlds, by axis and side, (m, F) each.
    """
    spread, center = covariance(background), background.mean(0)
    rows, names = [], []
    for name, windows in adverse.items():
        rows.append(direction(spread, windows.mean(0) - center))
        names.append(name)
    of_axes = len(rows)
    for servo, servo_name in enumerate(hand.actuator_names):
        columns = servo_columns(hand, servo)
        own = spread[np.ix_(columns, columns)]
        for name, windows in adverse.items():
            if name.split()[0] in SERVO_AXES:
                row = np.zeros(len(center))
                row[columns] = direction(own, (windows.mean(0) - center)[columns])
                rows.append(row)
                names.append(f"{servo_name}: {name}")
    return np.array(rows), tuple(names), len(rows) - of_axes


def thresholds(statistics: Array, share: float) -> Array:
    """Values that a share of the windows exceeds, by exponential tails, (D,).

    Args:
        statistics: of windows of worlds that are as in training, (n, D).
        share: of windows, for each statistic.
    """
    start = np.quantile(statistics, 1 - TAIL, axis=0)
    beyond = np.where(statistics > start, statistics - start, np.nan)
    return np.asarray(start + np.nanmean(beyond, axis=0) * np.log(TAIL / share))
