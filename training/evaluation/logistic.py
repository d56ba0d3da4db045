"""Linear probe: regularised logistic regression, scored on held-out rows."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from inhand.hardware.records import Array

Labels = NDArray[np.bool_]

STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0)
"""Penalties on squared weights, per row, to choose from."""

FOLDS = 5


def linear_probe(strength: float, rows: int) -> LogisticRegression:
    """A probe whose fit minimises the mean logistic loss plus strength/2 · |w|².

    Args:
        strength: of the penalty; the offset has none.
        rows: number of rows that it will be fitted to.
    """
    # scikit-learn minimises C times the sum of the losses plus |w|²/2.
    return LogisticRegression(C=1.0 / (strength * rows), solver="newton-cholesky", tol=1e-6)


def _label(features: Array, labels: Labels, strength: float, others: Array) -> Labels:
    """Labels of other rows, (m, k), by a probe fitted to features, (n, k), and labels, (n,)."""
    if labels.all() or not labels.any():  # scikit-learn needs both labels
        return np.full(len(others), labels[0])
    probe = linear_probe(strength, len(labels)).fit(features, labels)
    return np.asarray(probe.predict(others), dtype=np.bool_)


def held_out_hits(features: Array, labels: Labels, seed: int = 0) -> Labels:
    """Whether each row is labelled correctly by a probe that was fitted without it.

    Cross-validation in `FOLDS` parts. Scaling and penalty are chosen on the other parts alone:
    a fifth of them decides between the penalties.

    Args:
        features: (n, k).
        labels: (n,).
        seed: of the parts.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    hits = np.zeros(len(labels), dtype=np.bool_)
    for part in np.array_split(order, FOLDS):
        others = order[~np.isin(order, part)]
        scaled = StandardScaler().fit(features[others]).transform(features)
        validation, training = np.split(others, [len(others) // FOLDS])

        def labelled(fitted: NDArray[np.int64], strength: float, rows: NDArray[np.int64]) -> Labels:
            return _label(scaled[fitted], labels[fitted], strength, scaled[rows])  # noqa: B023

        shares = [
            float((labelled(training, one, validation) == labels[validation]).mean())
            for one in STRENGTHS
        ]
        strength = STRENGTHS[int(np.argmax(shares))]
        hits[part] = labelled(others, strength, part) == labels[part]
    return hits


def wilson(hits: int, n: int) -> tuple[float, float]:
    """95 % confidence interval of a share (Wilson 1927)."""
    interval = binomtest(hits, n).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)
