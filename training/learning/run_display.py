"""What a training run prints while it runs."""

import sys

from inhand.controller.system.progress import Progress
from inhand.training.learning.run_files import Row, RunStatus


class Display:
    """What a run prints: a line for each row, and a bar between them on a terminal.

    Args:
        run: its name.
        iterations: still to do.
        minutes: limit of the time; None: no limit.
    """

    def __init__(self, run: str, iterations: int, minutes: float | None) -> None:
        self._left, self._limit = iterations, None if minutes is None else 60.0 * minutes
        self._progress = Progress(f"train {run}", 1.0)

    def share(self, done: int, seconds: float) -> float:
        """How much of the run is done, by iterations or by time, whichever ends it first."""
        by_time = seconds / self._limit if self._limit else 0.0
        return min(1.0, max(done / max(1, self._left), by_time))

    def at(self, done: int, seconds: float) -> None:
        """Moves the bar."""
        share = self.share(done, seconds)
        self._progress.at(share, time_left(share, seconds))

    def row(self, row: Row, done: int, seconds: float) -> None:
        """Prints a row of the log with the time that is left."""
        self._progress.end()
        steps = row["steps"] / row["iteration"] * done / seconds
        keys = [key for key in row if key not in ("iteration", "steps", "minutes")]
        values = "  ".join(f"{key} {row[key]:.4g}" for key in keys)
        line = f"{row['iteration']:.0f}  {row['steps'] / 1e6:.2f} M  {steps:.0f} steps/s  {values}"
        left = time_left(self.share(done, seconds), seconds)
        print(f"{line}  {left}", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Removes the bar."""
        self._progress.end()


def time_left(share: float, seconds: float) -> str:
    """The time that is left in words, from the share that is done and what it took [s]."""
    if share <= 0.0:
        return ""
    left = round(seconds * (1.0 - share) / share)
    if left < 120:
        return f"{left} s left"
    minutes = round(left / 60)
    return f"{minutes} min left" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min left"


def closing(status: RunStatus) -> str:
    """What a run says at its end: how far it is, and how long all its starts took together."""
    spent = f"{status.steps / 1e6:.2f} M steps in {status.minutes:.1f} minutes"
    if status.state == "finished":
        return f"run {status.run}: finished, {spent}"
    return (
        f"run {status.run}: stopped after {status.iteration} of {status.iterations} iterations, "
        f"{spent}; the same command goes on"
    )
