"""`inhand plot`: a report of a recording, as an image or as an HTML page."""

import base64
import html
import io
import sys
from collections.abc import Iterable
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
from inhand.files import write_whole
from inhand.hardware.records import Array
from inhand.result import print_json

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_EVERY = 5
"""Only one of this many ticks is drawn."""


@dataclass(frozen=True)
class Options:
    """Make a report of a recording: goals, errors, drops, currents and timing.

    Example: inhand plot FILE --output report.html

    Attributes:
        file: The recording.
        output: A `.png` or a `.html` file; a `.png` file beside the recording otherwise.
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


def read_run(recording: Recording) -> Run:
    """Reads a recording for the report.

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
    """Writes the report completely or not at all.

    Raises:
        RecordingError: the file name ends neither with `.png` nor with `.html`.
        WriteError: the file cannot be written.
    """
    if output.suffix not in (".png", ".html"):
        raise RecordingError(f"plot to {output}: name a .png or a .html file")
    picture = io.BytesIO()
    title = f"{recording.path.name}: {recording.reason}, {recording.begun}"
    draw(run, title).savefig(picture, format="png", dpi=110)
    content = picture.getvalue()
    if output.suffix == ".html":
        content = _page(title, run.summary(), run.events, run.begin, content).encode()
    write_whole(output, content)


def _page(
    title: str,
    summary: Iterable[tuple[str, str]],
    events: Iterable[Event],
    begin: float,
    picture: bytes,
) -> str:
    rows = "".join(f"<tr><td>{html.escape(k)}<td>{html.escape(v)}</tr>\n" for k, v in summary)
    event_rows = "".join(
        f"<tr><td>{event.t - begin:.3f}<td>{event.kind}<td>{html.escape(str(event.data))}</tr>\n"
        for event in events
    )
    encoded = base64.b64encode(picture).decode()
    return (
        f'<!doctype html><meta charset="utf-8"><title>{html.escape(title)}</title>\n'
        "<style>body{font-family:sans-serif;max-width:70em;margin:2em auto}"
        "td{padding:0 1em 0 0;vertical-align:top}</style>\n"
        f"<h1>{html.escape(title)}</h1>\n<table>\n{rows}</table>\n"
        f'<img alt="" style="width:100%" src="data:image/png;base64,{encoded}">\n'
        f"<h2>Events</h2>\n<table>\n{event_rows}</table>\n"
    )


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
