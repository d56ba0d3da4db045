"""Regularised logistic regression: a linear probe, judged on what it never saw."""

import numpy as np
from numpy.typing import NDArray

from inhand.hardware.records import Array

Labels = NDArray[np.bool_]

STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0)
"""Penalties on squared weights, a trial, to choose from."""

FOLDS = 5
_NEWTON_STEPS = 30


def fit(features: Array, labels: Labels, strength: float) -> Array:
    """Minimises mean logistic loss plus strength/2 · |w|², by Newton's method.

    Args:
        features: (n, k).
        labels: (n,).
        strength: of the penalty; the offset is free of it.

    Returns:
        Weights and, last, the offset, (k + 1,).
    """
    rows = np.column_stack([features, np.ones(len(features))])
    penalty = np.full(rows.shape[1], strength)
    penalty[-1] = 1e-9
    weights = np.zeros(rows.shape[1])
    for _ in range(_NEWTON_STEPS):
        chance = _chance(rows @ weights)
        slope = rows.T @ (chance - labels) / len(rows) + penalty * weights
        curvature = (rows.T * (chance * (1 - chance))) @ rows / len(rows) + np.diag(penalty)
        step = np.linalg.solve(curvature, slope)
        # Far from the minimum a whole step may overshoot.
        step /= max(1.0, float(np.linalg.norm(step)) / 5.0)
        weights -= step
        if np.abs(step).max() < 1e-8:
            break
    return weights


def _chance(scores: Array) -> Array:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * scores)))


def predict(weights: Array, features: Array) -> Labels:
    """The likelier label of each row, (n,)."""
    return np.asarray(features @ weights[:-1] + weights[-1] > 0)


def held_out_hits(features: Array, labels: Labels, seed: int = 0) -> Labels:
    """Whether each row is predicted rightly by a probe that never saw it.

    Cross-validation in `FOLDS` parts. Scaling and penalty come from the other parts alone: a
    fifth of them decides between the penalties.

    Args:
        features: (n, k).
        labels: (n,).
        seed: of the parts.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    hits = np.zeros(len(labels), dtype=np.bool_)
    for part in np.array_split(order, FOLDS):
        others = order[~np.isin(order, part)]
        centre, spread = features[others].mean(axis=0), features[others].std(axis=0)
        scaled = (features - centre) / np.where(spread > 1e-9, spread, 1.0)
        judges, learners = np.split(others, [len(others) // FOLDS])

        def score(strength: float) -> float:
            weights = fit(scaled[learners], labels[learners], strength)  # noqa: B023
            right = predict(weights, scaled[judges]) == labels[judges]  # noqa: B023
            return float(right.mean())

        weights = fit(scaled[others], labels[others], max(STRENGTHS, key=score))
        hits[part] = predict(weights, scaled[part]) == labels[part]
    return hits


def wilson(hits: int, n: int) -> tuple[float, float]:
    """95 % confidence interval of a share (Wilson 1927)."""
    z, share = 1.96, hits / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return float(middle - half), float(middle + half)
