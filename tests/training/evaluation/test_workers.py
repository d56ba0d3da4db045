"""Work that is spread over processes ends when one piece of it fails."""

import time

import pytest

from inhand.training.evaluation.workers import spread


def work(seconds: float) -> float:
    """Takes so long [s]; a negative time is refused."""
    if seconds < 0:
        raise ValueError("no such time")
    time.sleep(seconds)
    return seconds


def test_results_come_in_order() -> None:
    assert list(spread(work, [0.3, 0.0, 0.1], jobs=2)) == [0.3, 0.0, 0.1]


def test_a_failure_does_not_wait_for_the_rest() -> None:
    began = time.monotonic()
    with pytest.raises(ValueError, match="no such time"):
        list(spread(work, [-1.0, *[600.0] * 20], jobs=2))
    assert time.monotonic() - began < 300.0


def test_who_stops_reading_does_not_wait_for_the_rest() -> None:
    began, results = time.monotonic(), spread(work, [0.0, *[600.0] * 20], jobs=2)
    assert next(iter(results)) == 0.0
    results.close()  # type: ignore[attr-defined]  # an iterator that is a generator
    assert time.monotonic() - began < 300.0
