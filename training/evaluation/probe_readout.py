"""What a probe reads: properties of a world, by regression and by classification.

Both are scored on trials that the fit has not seen.
"""

from collections.abc import Callable

import msgspec
import numpy as np
from sklearn.linear_model import RidgeCV
from sklearn.preprocessing import StandardScaler

from inhand.hardware.model.universe import Universe
from inhand.hardware.records import Array
from inhand.training.evaluation.logistic import FOLDS, Labels, held_out_hits, wilson

PROPERTIES: dict[str, Callable[[Universe], float]] = {
    "object's size": lambda one: float(np.log(one.object_size)),
    "object's mass": lambda one: float(np.log(one.object_mass)),
    "friction": lambda one: float(np.log(one.friction)),
    "servos' gain": lambda one: float(np.mean(np.log(one.actuator_gain or 1.0))),
    "joints' damping": lambda one: float(np.mean(np.log(one.joint_damping or 1.0))),
    "backlash": lambda one: float(np.mean(one.backlash or 0.0)),
    "delay of actions": lambda one: one.action_latency,
    "latency of poses": lambda one: one.pose_latency,
    "softness of contacts": lambda one: one.contact_softness,
}
"""Continuous properties; those of servos and joints are means over them. Factors as logarithms.
An empty field of a universe is nominal."""

QUESTIONS = {
    "object bigger than nominal": "object's size",
    "object heavier than nominal": "object's mass",
    "object less slippery than nominal": "friction",
}
"""Questions, and the property that is above 0 if the answer is yes."""

APART = 0.03
"""Least difference from nominal, as a logarithm, of the worlds that a question is asked of."""

PENALTIES = np.logspace(-1, 5, 13)
"""Of the ridge regression, to choose from."""

Interval = tuple[float, float]


class Reading(msgspec.Struct, frozen=True):
    """How much of a value is found; the interval is of 95 %.

    Attributes:
        value: R², or the share of correct answers.
        interval: its confidence interval.
    """

    value: float
    interval: Interval


def values_of(universes: tuple[Universe, ...]) -> Array:
    """Every property of every world, (n, len(PROPERTIES))."""
    return np.array([[read(one) for read in PROPERTIES.values()] for one in universes])


def folds(n: int, seed: int) -> list[np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """The trials in `FOLDS` random parts, each held out once."""
    return list(np.array_split(np.random.default_rng(seed).permutation(n), FOLDS))


def held_out_estimates(features: Array, values: Array, seed: int = 0) -> Array:
    """Estimates of each row by a ridge regression that was fitted without it.

    Scaling and penalty are chosen on the other parts alone.

    Args:
        features: (n, k).
        values: (n, m).
        seed: of the parts.

    Returns:
        Estimates, (n, m).
    """
    estimates = np.zeros_like(values)
    for part in folds(len(values), seed):
        others = np.setdiff1d(np.arange(len(values)), part)
        scaled = StandardScaler().fit(features[others]).transform(features)
        for column in range(values.shape[1]):
            fit = RidgeCV(PENALTIES).fit(scaled[others], values[others, column])
            estimates[part, column] = fit.predict(scaled[part])
    return estimates


def explained(values: Array, estimates: Array) -> Reading:
    """R² of estimates; its interval is that of the mean over the trials.

    Args:
        values: true values, (n,).
        estimates: (n,).
    """
    total = float(np.var(values))
    if total == 0.0:
        return Reading(0.0, (0.0, 0.0))
    gains = 1.0 - np.square(values - estimates) / total
    mean, error = float(gains.mean()), float(gains.std(ddof=1) / np.sqrt(len(gains)))
    return Reading(mean, (mean - 1.96 * error, mean + 1.96 * error))


def answered(hits: Labels) -> Reading:
    """The share of correct answers."""
    n = len(hits)
    return (
        Reading(float(hits.mean()), wilson(int(hits.sum()), n)) if n else Reading(0.0, (0.0, 1.0))
    )


def asked(values: Array, question: str) -> tuple[Labels, Labels]:
    """Of which worlds a question is asked, (n,), and the true answers of those.

    Args:
        values: as `values_of` gives them.
        question: of `QUESTIONS`.
    """
    value = values[:, list(PROPERTIES).index(QUESTIONS[question])]
    rows: Labels = np.abs(value) >= APART
    return rows, value[rows] > 0


def linear_hits(features: Array, labels: Labels, seed: int = 0) -> Labels:
    """Whether each row is labelled correctly by a logistic regression fitted without it."""
    if len(labels) < FOLDS:
        return np.zeros(0, dtype=np.bool_)
    return held_out_hits(features, labels, seed)
