"""Histogram of fixed size: one bisection and one increment for each sample."""

from bisect import bisect_left
from math import ceil

# 20 bins a decade from 1 µs to 10 s: percentiles are right within 12 %.
_EDGES = [10 ** (-6 + i / 20) for i in range(141)]


class Histogram:
    """Counts of durations [s] in logarithmic bins, with exact maximum and mean."""

    def __init__(self) -> None:
        self.count = 0
        self.maximum = 0.0
        self._sum = 0.0
        self._bins = [0] * (len(_EDGES) + 1)

    def add(self, seconds: float) -> None:
        """Counts one sample [s]."""
        self._bins[bisect_left(_EDGES, seconds)] += 1
        self.count += 1
        self._sum += seconds
        self.maximum = max(self.maximum, seconds)

    @property
    def mean(self) -> float:
        """Mean [s], 0 without samples."""
        return self._sum / self.count if self.count else 0.0

    def percentile(self, share: float) -> float:
        """Upper edge of the bin below which this share of the samples lies [s]."""
        wanted, seen = ceil(share * self.count), 0
        if not wanted:
            return 0.0
        for edge, number in zip([*_EDGES, self.maximum], self._bins, strict=True):
            seen += number
            if seen >= wanted:
                return min(edge, self.maximum)
        return self.maximum

    def summary(self) -> dict[str, float]:
        """Mean, percentiles and maximum [s]."""
        return {
            "mean": self.mean,
            "p50": self.percentile(0.5),
            "p99": self.percentile(0.99),
            "p99.9": self.percentile(0.999),
            "max": self.maximum,
        }
