"""Soak test for leaks: hours of ticks in virtual time, then minutes in real time.

Run by `make soak`. The hand has no physics, so that hours run fast; controller, sockets, recorder
and policy are the daemon's. The test fails if memory or descriptors grow, or if a tick is missing
and not counted as skipped.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tyro

from benchmarks.load import Clients
from benchmarks.lone_daemon import PERIOD, PRIORITY, drive, lone_daemon
from inhand.controller.system.clock import Clock, MonotonicClock, VirtualClock
from inhand.controller.system.realtime import configure_realtime

SAMPLES = 200
"""Number of samples of memory and descriptors in a run."""

WARM_UP = 0.2
"""Share of a run, at its start, in which caches and histograms may grow."""

TOLERATED = 2.0
"""Growth over a run that is always accepted [MB]: one or two arenas of the allocator."""


@dataclass
class Watched:
    """A process whose memory and descriptors are sampled.

    Attributes:
        name: for the report.
        pid: its process id.
        memory: resident [MB], sample by sample.
        descriptors: open ones, sample by sample.
    """

    name: str
    pid: int
    memory: list[float] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)

    def sample(self) -> None:
        """Takes one sample."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
        self.memory.append(int(line.split()[1]) / 1000)
        self.descriptors.append(len(os.listdir(f"/proc/{self.pid}/fd")))

    def verdict(self) -> tuple[bool, str]:
        """Whether nothing grew, and a line for the report."""
        memory = np.array(self.memory[int(WARM_UP * len(self.memory)) :])
        growth, error = trend(memory)
        first, last = self.descriptors[len(self.descriptors) // 5], self.descriptors[-1]
        flat = growth <= max(3 * error, TOLERATED) and last <= first
        said = (
            f"{self.name}: {memory[-1]:.1f} MB, grew {growth:+.2f} MB ± {error:.2f} over the run, "
            f"{last} descriptors ({last - first:+d}): {'flat' if flat else 'not flat'}"
        )
        return flat, said


def trend(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> tuple[float, float]:
    """Growth over the run by linear regression, and its standard error."""
    x = np.linspace(-0.5, 0.5, len(values))
    slope = float(x @ (values - values.mean()) / (x @ x))
    rest = values - values.mean() - slope * x
    error = float(np.sqrt(rest @ rest / max(len(values) - 2, 1) / (x @ x)))
    return slope, error


def soak(
    name: str, clock: Clock, seconds: float, load: Callable[[Path], AbstractContextManager[object]]
) -> bool:
    """Runs ticks for `seconds` of the clock and prints a report; True if nothing grew."""
    with tempfile.TemporaryDirectory() as where, lone_daemon(Path(where), clock) as lone:
        if isinstance(clock, MonotonicClock):
            configure_realtime(priority=PRIORITY, affinity=(), lock_memory=False)
        watched = [Watched("daemon", os.getpid()), Watched("recorder", lone.recorder.process.pid)]
        loop, began, spent = lone.loop, clock.now(), time.monotonic()
        every, until = seconds / SAMPLES, began + seconds
        sample, first = began, None
        with load(Path(where)):
            for woken in loop.ticker:
                first = woken if first is None else first
                if woken >= until:
                    break
                drive(lone)
                loop._tick(woken)
                if woken >= sample:
                    sample += every
                    for one in watched:
                        one.sample()
                    if len(watched[0].memory) % (SAMPLES // 10) == 0:
                        held = ", ".join(f"{one.name} {one.memory[-1]:.1f} MB" for one in watched)
                        print(f"{name}, {(woken - began) / 60:.1f} min: {held}", flush=True)
        ticks = loop.ticker.statistics
        due = round((woken - (first or began)) / PERIOD)
        missing = due - ticks.ticks - ticks.skipped
        results = [one.verdict() for one in watched]
        print(
            f"{name}: {seconds / 60:.1f} min in {(time.monotonic() - spent) / 60:.1f} min, "
            f"{ticks.ticks} ticks, {ticks.skipped} skipped and counted, {missing} missing, "
            f"{loop.tape.lost} records lost and counted, "
            f"{loop.controller.goals.reached} goals reached, "
            f"{loop.controller.snapshot().dropped} drops"
        )
        for _, said in results:
            print(f"  {said}")
        return all(flat for flat, _ in results) and abs(missing) <= 1


def main(hours: float = 8.0, minutes: float = 20.0) -> int:
    """Checks for growth of memory and descriptors, and for missing ticks.

    Example: make soak ARGS="--hours 1 --minutes 5"

    Args:
        hours: Duration in virtual time.
        minutes: Duration in real time, with a hundred status requests a second.
    """
    well = []
    if hours:
        well.append(soak("lockstep", VirtualClock(100.0), 3600 * hours, lambda _: nullcontext()))
    if minutes:
        well.append(soak("real time", MonotonicClock(), 60 * minutes, Clients))
    return 0 if all(well) else 1


if __name__ == "__main__":
    sys.exit(tyro.cli(main, prog="python -m benchmarks.soak"))
