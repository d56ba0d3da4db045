"""The ticker on a clock that the test moves: deadlines, skipped ticks, phase, statistics."""

import time
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inhand.controller.system.clock import MonotonicClock, VirtualClock
from inhand.controller.system.statistics import Histogram
from inhand.controller.system.ticker import ON_TIME, Ticker, TickStatistics

PERIOD = 0.01


class LateClock(VirtualClock):
    """Wakes late by what the test says, a list a tick."""

    def __init__(self, lateness: Iterable[float]) -> None:
        super().__init__(50.0)
        self._lateness = iter(lateness)

    def sleep_until(self, deadline: float) -> None:
        super().sleep_until(deadline)
        self.advance(next(self._lateness, 0.0))


def run(work: list[float], lateness: Iterable[float] = ()) -> tuple[list[float], TickStatistics]:
    """Ticks that take so long each; returns when they began, from the start in periods."""
    clock = LateClock(lateness)
    ticker = Ticker(clock, PERIOD)
    began = []
    for woken, duration in zip(ticker, [*work, 0.0], strict=False):
        began.append((woken - 50.0) / PERIOD)
        if len(began) > len(work):
            break
        clock.advance(duration)
    return began, ticker.statistics


def test_ticks_come_at_absolute_deadlines() -> None:
    began, statistics = run([0.004] * 100)
    assert began == pytest.approx(range(101))
    assert (statistics.ticks, statistics.skipped, statistics.share) == (100, 0, 1.0)


def test_missed_ticks_are_skipped_and_the_phase_is_kept() -> None:
    began, statistics = run([0.001, 0.035, 0.001, 0.001])
    assert began == pytest.approx([0, 1, 5, 6, 7])
    # Deadlines 2, 3 and 4 passed while the second tick worked.
    assert (statistics.ticks, statistics.skipped, statistics.on_time) == (4, 3, 3)
    assert statistics.share == statistics.recent_share(1000) == pytest.approx(3 / 7)


def test_a_tick_that_runs_over_by_less_than_a_millisecond_skips_none() -> None:
    began, statistics = run([0.001, 0.0105, 0.001])
    assert began == pytest.approx([0, 1, 2.05, 3])
    assert statistics.skipped == 0
    # The one that ran over was not on time; the next one, 0.5 ms late, was.
    assert statistics.on_time == 2


def test_a_late_wake_up_is_not_on_time() -> None:
    began, statistics = run([0.001] * 4, [0.0, 0.002, 0.0009, 0.0])
    assert began == pytest.approx([0, 1.2, 2.09, 3, 4])
    assert (statistics.on_time, statistics.skipped) == (3, 0)
    assert statistics.lateness.maximum == pytest.approx(0.002)


@given(st.lists(st.floats(0, 0.2), min_size=1, max_size=30), st.lists(st.floats(0, 0.05)))
def test_every_deadline_is_ticked_or_counted(work: list[float], lateness: list[float]) -> None:
    began, statistics = run(work, lateness)
    waits = [wait / PERIOD for wait in lateness] + [0.0] * len(began)
    deadlines = [woken - wait for woken, wait in zip(began, waits, strict=False)]
    for deadline in deadlines:
        # Phase: on the grid, or up to a millisecond late because the tick before ran over.
        assert (deadline + 1e-5) % 1 <= ON_TIME / PERIOD + 2e-5
    last = int(deadlines[-1] + 1e-5)
    assert statistics.ticks == len(work)
    assert statistics.ticks + statistics.skipped == last


def test_recent_ticks_are_the_last_thousand_that_were_due() -> None:
    statistics = TickStatistics()
    assert statistics.share == statistics.recent_share(1000) == 1.0
    for _ in range(500):
        statistics.add(0.0, 0.001, PERIOD, 0)
    statistics.add(0.0, 6.0, PERIOD, 600)
    assert statistics.recent_share(1000) == pytest.approx(399 / 1000)
    assert statistics.share == pytest.approx(500 / 1101)
    summary = statistics.summary()
    assert summary["ticks"] == 501 and summary["skipped"] == 600


@given(st.lists(st.floats(1e-6, 10), min_size=1))
def test_percentiles_are_right_within_a_bin(samples: list[float]) -> None:
    histogram = Histogram()
    for sample in samples:
        histogram.add(sample)
    ordered = sorted(samples)
    for share in (0.5, 0.9, 1.0):
        exact = ordered[max(0, -(-int(share * 1000) * len(ordered) // 1000) - 1)]
        assert exact * 0.999 <= histogram.percentile(share) <= exact * 1.13
    assert histogram.maximum == ordered[-1]
    assert histogram.mean == pytest.approx(sum(samples) / len(samples))


def test_a_histogram_without_samples_is_zero() -> None:
    assert set(Histogram().summary().values()) == {0.0}


def test_the_real_clock_keeps_its_deadlines() -> None:
    clock = MonotonicClock(spin=0.001)
    for deadline in (clock.now() + 0.02, clock.now() + 0.03):
        clock.sleep_until(deadline)
        assert clock.now() >= deadline
    assert abs(clock.now() - time.monotonic()) < 1.0


def test_virtual_time_does_not_go_back() -> None:
    clock = VirtualClock(5.0)
    clock.sleep_until(4.0)
    assert clock.now() == 5.0
    with pytest.raises(ValueError, match="cannot go back"):
        clock.advance(-1.0)


def test_the_share_of_the_last_hundred_recovers_sooner_than_that_of_the_last_thousand() -> None:
    statistics = TickStatistics()
    for number in range(1000):
        statistics.add(0.0 if number >= 900 else 0.002, 0.001, 0.01, 0, 0.01)
    assert statistics.recent_share(100) == 1.0
    assert statistics.recent_share(1000) == 0.1
    assert statistics.period.count == 1000
