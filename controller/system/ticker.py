"""Ticks at absolute deadlines: phase is kept, missed ticks are skipped and counted."""

from collections import deque
from collections.abc import Iterator
from math import floor

from inhand.controller.system.clock import Clock
from inhand.controller.system.statistics import Histogram

ON_TIME = 0.001
"""A tick is on time if it woke less than this late [s] and ended before the next deadline."""


class TickStatistics:
    """Lateness, duration and period of the ticks."""

    def __init__(self) -> None:
        self.period = Histogram()
        self.lateness = Histogram()
        self.work = Histogram()
        self.ticks = 0
        self.skipped = 0
        self.on_time = 0
        self._recent: deque[bool] = deque(maxlen=1000)
        self._last = deque([0.0], maxlen=100)

    @property
    def share(self) -> float:
        """Share of all ticks that were due, skipped ones included, that were on time."""
        due = self.ticks + self.skipped
        return self.on_time / due if due else 1.0

    def recent_share(self, ticks: int) -> float:
        """The same over the last so many ticks that were due, at most 1000."""
        recent = tuple(self._recent)[-ticks:]
        return sum(recent) / len(recent) if recent else 1.0

    def recent_lateness(self) -> float:
        """The largest of the last 100 ticks [s]."""
        return max(tuple(self._last))

    def add(
        self,
        lateness: float,
        work: float,
        period: float,
        skipped: int,
        since_last: float | None = None,
    ) -> None:
        """Counts a finished tick.

        Args:
            lateness: from its deadline to waking [s].
            work: from waking to its end [s].
            period: between deadlines [s].
            skipped: how many deadlines after it were missed.
            since_last: between waking and the tick before waking [s]; None for the first.
        """
        punctual = lateness < ON_TIME and lateness + work <= period
        self.ticks += 1
        self.skipped += skipped
        self.on_time += punctual
        if since_last is not None:
            self.period.add(since_last)
        self.lateness.add(lateness)
        self.work.add(work)
        self._recent.append(punctual)
        self._last.append(lateness)
        for _ in range(min(skipped, 1000)):
            self._recent.append(False)

    def summary(self) -> dict[str, object]:
        """Everything counted, for a report; times in seconds."""
        return {
            "ticks": self.ticks,
            "skipped": self.skipped,
            "on_time_share": self.share,
            "period": self.period.summary(),
            "lateness": self.lateness.summary(),
            "work": self.work.summary(),
        }


class Ticker:
    """Yields the time at every tick; the loop's body is the tick's work.

    Attributes:
        period: between deadlines [s].
        statistics: punctuality so far.
        deadline: of the present tick [s].
        clock: what it waits on.
    """

    def __init__(self, clock: Clock, period: float) -> None:
        self.period = period
        self.statistics = TickStatistics()
        self.deadline = clock.now()
        self.clock = clock

    def __iter__(self) -> Iterator[float]:
        clock, period = self.clock, self.period
        start = clock.now()
        tick, last = 0, None
        while True:
            deadline = self.deadline = start + tick * period
            clock.sleep_until(deadline)
            woken = clock.now()
            yield woken
            ended = clock.now()
            # The latest deadline that passed, if starting now is still on time; else the next.
            following = max(tick + 1, floor((ended - start) / period + 1e-9))
            if start + following * period < ended - ON_TIME:
                following += 1
            since_last = None if last is None else woken - last
            self.statistics.add(
                woken - deadline, ended - woken, period, following - tick - 1, since_last
            )
            tick, last = following, woken
