"""`inhand plot`: the figures of a recording as an image; `inhand report` makes a page."""

import io
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import degrees
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import tyro

from inhand.controller.core.records import Event
from inhand.controller.errors import RecordingError
from inhand.controller.recording.reader import Recording, open_recording
from inhand.controller.recording.tick_record import PARTS, TickRecord
from inhand.controller.system.progress import Progress
from inhand.errors import InhandError
from inhand.files import refuse_existing, write_whole
from inhand.hardware.records import Array
from inhand.result import print_json

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_EVERY = 5
"""Only one of this many ticks is drawn."""


@dataclass(frozen=True)
class Options:
    """Plot a recording: goals, errors, drops, currents and timing.

    Example: inhand plot FILE --output plot.png

    Attributes:
        file: The recording.
        output: A `.png` file; otherwise one beside the recording.
        json: Print the figures as JSON.
    """

    file: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FILE")]
    output: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    json: bool = False


@dataclass
class Run:
    """The data of the report.

    Attributes:
        rows: per drawn tick: time since the beginning [s], error to goal [deg], age of the pose
            [ms], largest current [A].
        times: per tick: the parts of its time, as in `PARTS` [ms].
        events: all events.
        begin: time of the first tick [s].
    """

    rows: list[tuple[float, float, float, float]] = field(default_factory=list)
    times: list[list[float]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    begin: float = np.nan

    def take(self, record: TickRecord) -> None:
        """Adds the next tick."""
        if not self.times:
            self.begin = record.t
        self.times.append([1e3 * x for x in record.times.parts().values()])
        self.events += record.events
        if record.n % _EVERY:
            return
        out, joints = record.outputs, record.inputs.joints
        error = degrees(out.goal.error) if out.goal else np.nan
        age = 1e3 * out.pose.age if out.pose else np.nan
        current = np.nan if joints is None else float(np.abs(joints.current).max())
        self.rows.append((record.t - self.begin, error, age, current))

    def goals(self) -> list[tuple[float, str, float]]:
        """Time since the beginning [s], result and duration [s] of each ended goal."""
        ends = {"goal_reached": "reached", "goal_missed": "missed"}
        return [
            (event.t - self.begin, ends[event.kind], float(event.data["seconds"]))
            for event in self.events
            if event.kind in ends
        ]

    def drops(self) -> list[float]:
        """Times of the drops since the beginning [s]."""
        return [event.t - self.begin for event in self.events if event.kind == "object_dropped"]

    def figures(self) -> dict[str, float]:
        """The figures of the report; each name ends with its unit."""
        goals = self.goals()
        seconds = [s for _, end, s in goals if end == "reached"]
        found: dict[str, float] = {
            "ticks": len(self.times),
            "goals_reached": len(seconds),
            "goals_missed": len(goals) - len(seconds),
            "drops": len(self.drops()),
        }
        if seconds:
            found["reached_median_s"] = float(np.median(seconds))
        columns = np.array(self.times).reshape(-1, len(PARTS)).T
        for name, column in zip(PARTS, columns, strict=True):
            middle, late = np.percentile(column, [50, 99.9]) if len(column) else (np.nan, np.nan)
            found[f"{name}_median_ms"], found[f"{name}_p99_9_ms"] = float(middle), float(late)
        return found

    def summary(self) -> list[tuple[str, str]]:
        """The figures as pairs of a label and a text."""
        found = self.figures()
        lines = [
            (name.replace("_", " "), f"{found[name]:.0f}")
            for name in ("ticks", "goals_reached", "goals_missed", "drops")
        ]
        if "reached_median_s" in found:
            lines.append(("median time of a reached goal", f"{found['reached_median_s']:.1f} s"))
        for name in PARTS:
            middle, late = found[f"{name}_median_ms"], found[f"{name}_p99_9_ms"]
            lines.append((f"{name}, median and 99.9 %", f"{middle:.3f} ms, {late:.3f} ms"))
        return lines


Take = Callable[[TickRecord, float], None]
"""Called with each tick and the time of the first one [s]."""


def read_run(recording: Recording, others: Sequence[Take] = ()) -> Run:
    """Reads a recording for the report.

    Args:
        recording: the recording.
        others: take the same ticks.

    Raises:
        RecordingError: a record is damaged, or the recording has no ticks.
    """
    run, begin, length = Run(), None, 0.0
    try:
        begin, end = recording.span()
        length = end - begin
    except RecordingError:
        begin = 0.0  # An incomplete file: the report covers the readable part.
    progress = Progress(f"reading {recording.path.name}", length)
    for record in recording.records():
        if isinstance(record, TickRecord):
            run.take(record)
            for other in others:
                other(record, run.begin)
            progress.at(record.t - begin)
    progress.end()
    if not run.times:
        raise RecordingError(f"recording {recording.path}: it has no ticks")
    return run


def draw(run: Run, title: str) -> "Figure":
    """Draws the report's figure."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 9), layout="constrained")
    figure.suptitle(title)
    axes = figure.subplots(4, 1)
    t, error, age, current = np.array(run.rows).reshape(-1, 4).T
    for axis, values, label in (
        (axes[0], error, "error to goal [deg]"),
        (axes[1], current, "largest current [A]"),
        (axes[2], age, "age of the pose [ms]"),
    ):
        axis.plot(t, values, linewidth=0.8)
        axis.set_ylabel(label)
        axis.set_xlabel("time [s]")
    for at, end, _ in run.goals():
        axes[0].axvline(at, color="tab:green" if end == "reached" else "tab:orange", alpha=0.5)
    for at in run.drops():
        axes[0].axvline(at, color="tab:red", linestyle="--")
    _lateness(axes[3], np.array(run.times)[:, 0])
    return figure


def _lateness(axis: "Axes", lateness: Array) -> None:
    axis.hist(np.maximum(lateness, 1e-3), bins=np.geomspace(1e-3, 100, 60).tolist())
    axis.set(xscale="log", yscale="log", xlabel="lateness of a tick [ms]", ylabel="ticks")


def write(run: Run, recording: Recording, output: Path) -> None:
    """Writes the image completely or not at all.

    Raises:
        RecordingError: the file name does not end with `.png`.
        WriteError: the file exists, or cannot be written.
    """
    if output.suffix == ".html":
        raise RecordingError(
            f"plot to {output}: a page is made with `inhand report {recording.path} --html "
            f"{output}`; name a .png file"
        )
    if output.suffix != ".png":
        raise RecordingError(f"plot to {output}: name a .png file")
    refuse_existing(output, "--output")
    picture = io.BytesIO()
    title = f"{recording.path.name}: {recording.reason}, {recording.begun}"
    draw(run, title).savefig(picture, format="png", dpi=110)
    write_whole(output, picture.getvalue())


def main() -> None:
    """Entry point of `inhand plot`."""
    options = tyro.cli(Options, prog="inhand plot", config=(tyro.conf.FlagCreatePairsOff,))
    try:
        recording = open_recording(options.file)
        output = options.output or options.file.with_suffix(".png")
        run = read_run(recording)
        write(run, recording, output)
    except InhandError as error:
        sys.exit(f"error: {error}")
    if options.json:
        print_json({"output": str(output), **run.figures()})
        return
    for name, value in run.summary():
        print(f"{name}: {value}")
    print(output)


if __name__ == "__main__":
    main()
