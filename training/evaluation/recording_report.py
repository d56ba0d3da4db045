"""The report of a recording: goals, errors, joints, tick times, events, and a film of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from inhand.controller.core.records import Event
from inhand.controller.errors import RecordingError
from inhand.controller.recording.plot import Run, draw, read_run
from inhand.controller.recording.reader import Recording, open_recording
from inhand.controller.recording.tick_record import PARTS, TickRecord
from inhand.hardware.model.hand import Hand, parse_hand
from inhand.hardware.records import Array
from inhand.perception.objects import parse_object
from inhand.training.evaluation.film import FRAME_PERIOD, Moment, film, missing
from inhand.training.evaluation.report_page import ReportPage

_EVERY = 5
"""Only one of this many ticks is drawn."""

_EVENTS = 500
"""The page lists so many events at most."""

_SENT = "from the recording"


@dataclass
class _Joints:
    """Angles of the actuators in the ticks that are drawn.

    Attributes:
        times: since the first tick [s].
        positions: measured [rad], (n_actuators,) each; NaN if they were not read.
        targets: sent [rad], (n_actuators,) each; NaN if none were.
    """

    hand: Hand
    times: list[float] = field(default_factory=list)
    positions: list[Array] = field(default_factory=list)
    targets: list[Array] = field(default_factory=list)

    def take(self, record: TickRecord, begin: float) -> None:
        """Adds the next tick, if it is drawn."""
        if record.n % _EVERY:
            return
        unknown = np.full(self.hand.n_actuators, np.nan)
        joints, sent = record.inputs.joints, record.inputs.sent
        self.times.append(record.t - begin)
        self.positions.append(unknown if joints is None else joints.position)
        self.targets.append(unknown if sent is None else sent)


@dataclass
class _Filmed:
    """The moments of the film.

    Attributes:
        start: when it begins, since the first tick [s]; None for when the first goal begins.
        seconds: its length [s].
    """

    hand: Hand
    start: float | None
    seconds: float
    moments: list[Moment] = field(default_factory=list)
    _from: float = np.nan
    _reached: int = 0
    _reached_at: float = -np.inf

    def take(self, record: TickRecord, begin: float) -> None:
        """Adds the next tick, if a frame is due and the object was seen."""
        out, joints, t = record.outputs, record.inputs.joints, record.t - begin
        if np.isnan(self._from):
            if t < self.start if self.start is not None else out.goal is None:
                return
            self._from, self._reached = t, out.reached
        since = t - self._from
        if any(event.kind == "goal_reached" for event in record.events):
            self._reached_at = since
        due = not self.moments or since >= self.moments[-1].t + FRAME_PERIOD - 1e-6
        if not due or since > self.seconds or joints is None or out.pose is None:
            return
        if np.isnan(joints.position).any():
            return
        self.moments.append(
            Moment(
                since,
                self.hand.joint_angles(joints.position),
                out.pose.position,
                out.pose.quaternion,
                out.goal.quaternion if out.goal else None,
                out.reached - self._reached,
                since - self._reached_at,
            )
        )


def report_of_recording(
    path: Path, seconds: float, start: float | None, video: bytes | None
) -> ReportPage:
    """The page of a recording.

    Args:
        path: the recording.
        seconds: length of the film [s]; 0 for none.
        start: when the film begins, since the first tick [s]; None for when the first goal begins.
        video: another film to show (MP4); None to draw one.

    Raises:
        InhandError: the recording is damaged, or cannot be drawn by this version.
    """
    recording = open_recording(path)
    hand = parse_hand(recording.header.hand.encode(), _SENT)
    joints, filmed = _Joints(hand), _Filmed(hand, start, seconds)
    run = read_run(recording, [joints.take, filmed.take])
    page = ReportPage(f"{path.name}: {recording.reason}, {recording.begun}", dict(run.figures()))
    page.table(run.summary())
    _add_film(page, recording, filmed, video)
    page.head("Goals, currents, age of the pose, lateness of the tick")
    page.plot(draw(run, ""), "error to the goal, currents, age of the pose, and lateness over time")
    _add_goals(page, run)
    page.head("Joints: angle (line) and target (dashed) [deg]")
    page.plot(_joints_figure(joints), "angle and target of each actuator over time")
    page.head("Parts of the tick")
    page.plot(_parts_figure(run, recording), "largest time of each part of the tick over time")
    _add_events(page, run.events, run.begin)
    return page


def _add_film(page: ReportPage, recording: Recording, filmed: _Filmed, video: bytes | None) -> None:
    page.head("Film")
    if video is not None:
        page.film(video)
    elif not filmed.seconds:
        page.say("No film was asked for.")
    elif problem := missing():
        page.say(f"No film: {problem}.")
    elif not filmed.moments:
        page.say("No film: there is no goal with a seen object in this part of the recording.")
    else:
        target = parse_object(recording.header.object.encode(), _SENT, recorded=True)
        page.film(film(filmed.moments, filmed.hand, target))
        page.say(
            "Drawn from the measured joint angles and the estimated pose. The pale object beside "
            "the hand is the goal."
        )
        page.figures["film_s"] = round(filmed.moments[-1].t, 2)


def _add_goals(page: ReportPage, run: Run) -> None:
    rows = [
        (n, f"{at:.1f}", end, f"{took:.1f}") for n, (at, end, took) in enumerate(run.goals(), 1)
    ]
    if rows:
        page.table(rows, ("goal", "ended at [s]", "result", "took [s]"))
    if drops := run.drops():
        page.say("The object was dropped at " + ", ".join(f"{t:.1f} s" for t in drops) + ".")


def _add_events(page: ReportPage, events: Sequence[Event], begin: float) -> None:
    page.head("Events")
    if len(events) > _EVENTS:
        page.say(f"The first {_EVENTS} of {len(events)}; `inhand recording export` writes all.")
    page.table(
        [(f"{event.t - begin:.3f}", event.kind, _words(event)) for event in events[:_EVENTS]],
        ("time [s]", "event", "what it says"),
    )


def _words(event: Event) -> str:
    return ", ".join(f"{name}: {_rounded(value)}" for name, value in event.data.items())


def _rounded(value: object) -> object:
    """Numbers with three digits behind the point; all else as it is."""
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, list):
        return f"({', '.join(str(_rounded(item)) for item in value)})"
    return value


def _joints_figure(joints: _Joints) -> Figure:
    names = joints.hand.actuator_names
    rows = -(-len(names) // 4)
    figure = Figure(figsize=(11, 1.5 * rows + 0.5), layout="constrained")
    grid = figure.subplots(rows, 4, sharex=True, squeeze=False).ravel()
    positions, targets = np.degrees(joints.positions), np.degrees(joints.targets)
    for number, (axis, name) in enumerate(zip(grid, names, strict=False)):
        axis.plot(joints.times, positions[:, number], linewidth=0.9)
        axis.plot(joints.times, targets[:, number], linewidth=0.7, linestyle="--")
        axis.set_title(name, fontsize=8)
        axis.tick_params(labelsize=7)
    for axis in grid[len(names) :]:
        axis.set_visible(False)
    return figure


def _parts_figure(run: Run, recording: Recording) -> Figure:
    times = np.array(run.times)
    # The largest of each tenth of a second: a mean would hide what matters.
    group = max(1, round(0.1 * recording.header.control.tick_rate))
    whole = len(times) // group * group
    if not whole:
        raise RecordingError(f"recording {recording.path}: too short for a report")
    largest = times[:whole].reshape(-1, group, len(PARTS)).max(axis=1)
    figure = Figure(figsize=(11, 3), layout="constrained")
    axis = figure.subplots()
    seconds = np.arange(len(largest)) * group / recording.header.control.tick_rate
    for number, name in enumerate(PARTS):
        # A logarithm needs more than zero: simulated time stands still within a tick.
        shown = np.maximum(largest[:, number], 1e-3)
        axis.plot(seconds, shown, linewidth=0.8, label=name)
    axis.set(xlabel="time [s]", ylabel="largest of 0.1 s [ms]", yscale="log")
    axis.legend(ncols=len(PARTS))
    return figure
