"""The reports of runs: the curves of a training, or the trials of an evaluation."""

import csv
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from inhand.hardware.records import Array
from inhand.training.evaluation.kept_trials import read_kept
from inhand.training.evaluation.report import CONFIDENCE, bootstrap
from inhand.training.evaluation.report_page import ReportPage
from inhand.training.evaluation.trials import EvaluationError, Trial

LOG = "log.csv"
"""File of a training run's folder with a row for each report of progress."""

_AXIS = "steps"


def report_of_training(folder: Path) -> ReportPage:
    """The page of a training run: every column of its log over the policy steps.

    Raises:
        EvaluationError: the log cannot be read.
    """
    log = folder / LOG
    try:
        with log.open(newline="") as file:
            rows = list(csv.DictReader(file))
        columns = {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}
        steps = columns.pop(_AXIS)
    except (OSError, ValueError, TypeError, KeyError, IndexError) as error:
        raise EvaluationError(f"report: {log}: not the log of a training run ({error})") from error
    page = ReportPage(f"training run {folder.resolve().name}")
    last = {_AXIS: float(steps[-1])} | {n: float(c[-1]) for n, c in columns.items()}
    page.figures.update(last)
    page.head("At the end")
    page.table([(name.replace("_", " "), f"{x:,.6g}") for name, x in last.items()])
    page.head("Curves")
    page.plot(_curves(steps / 1e6, columns), f"{', '.join(columns)} over the policy steps")
    return page


def _curves(steps: Array, columns: dict[str, Array]) -> Figure:
    height = -(-len(columns) // 2)
    figure = Figure(figsize=(11, 2.2 * height), layout="constrained")
    grid = figure.subplots(height, 2, sharex=True, squeeze=False).ravel()
    for axis, (name, values) in zip(grid, columns.items(), strict=False):
        axis.plot(steps, values, linewidth=0.9)
        axis.set_title(name.replace("_", " "), fontsize=9)
        axis.grid(alpha=0.3)
    for axis in grid[len(columns) :]:
        axis.set_visible(False)
    figure.supxlabel("million policy steps", fontsize=9)
    return figure


def report_of_trials(path: Path) -> ReportPage:
    """The page of an evaluation, from the file that `inhand eval --keep` wrote.

    Raises:
        EvaluationError: the file is no such file, or has no trial.
    """
    content = read_kept(path)
    trials, given = content.trials, content.conditions
    if not trials:
        raise EvaluationError(f"report: {path}: it has no trial yet")
    scores = np.array([trial.score for trial in trials], dtype=np.float64)
    median, mean = bootstrap(scores, given.seed)
    page = ReportPage(f"evaluation {path.name}: {given.object} in {given.engine}")
    page.figures = {
        "trials": len(trials),
        "median": float(np.median(scores)),
        "mean": float(np.mean(scores)),
        "drops": sum(trial.end == "drop" for trial in trials),
        "timeouts": sum(trial.end == "timeout" for trial in trials),
        "false_successes": sum(trial.false_successes for trial in trials),
    }
    percent = f"{100 * CONFIDENCE:.0f} %"
    rules = given.rules
    length = f", {rules.seconds:g} s a trial" if rules.seconds else ""
    limits = f"{rules.timeout:g} s a goal{length}"
    page.table(
        [
            ("goals a trial, median", f"{page.figures['median']:g}, {percent} {median}"),
            ("goals a trial, mean", f"{page.figures['mean']:.1f}, {percent} {_short(mean)}"),
            ("ends", f"{page.figures['drops']} drops, {page.figures['timeouts']} time-outs"),
            ("reported, not reached", page.figures["false_successes"]),
            ("rules", f"{rules.goals}, within {rules.tolerance:g} rad, {limits}"),
            ("seed, commit", f"{given.seed}, {given.commit}"),
            ("policy (SHA-256)", given.policy),
        ]
    )
    page.head("Trials")
    page.plot(_trials_figure(content.trials), "score of each trial, and times of the goals")
    page.table(
        [(t.trial, t.score, f"{t.seconds:.1f}", t.end, t.reason) for t in trials],
        ("trial", "goals", "seconds", "end", "why"),
    )
    return page


def _short(interval: tuple[float, float]) -> str:
    return f"({interval[0]:.1f}, {interval[1]:.1f})"


def _trials_figure(trials: list[Trial]) -> Figure:
    figure = Figure(figsize=(11, 3.5), layout="constrained")
    scores, times = figure.subplots(1, 2)
    scores.bar([trial.trial for trial in trials], [trial.score for trial in trials])
    scores.set(xlabel="trial", ylabel="goals")
    times.hist([goal.seconds for trial in trials for goal in trial.goals], bins=40)
    times.set(xlabel="time of a goal [s]", ylabel="goals")
    return figure
