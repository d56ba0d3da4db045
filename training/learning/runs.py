"""`inhand runs`: the runs of a folder, how far they are, and their best result."""

import time
from dataclasses import dataclass
from pathlib import Path

import msgspec
import tyro

from inhand.result import print_json
from inhand.training.learning.run_files import (
    Paths,
    RunError,
    State,
    best_row,
    locked,
    read_log,
    read_status,
)

NAMES = ("run.json", "log.csv")
"""A folder with one of these files is a run."""


class Run(msgspec.Struct, frozen=True):
    """A run as it is listed.

    Attributes:
        run: name of its folder under `runs/`.
        state: whether a process trains in it now, it stopped before its end, it is complete, or
            it failed.
        stage: what is trained; empty if an earlier version made the run.
        iteration: done so far.
        iterations: after which it is complete; 0 if that is unknown.
        steps: policy steps of all worlds so far.
        minutes: spent so far.
        goals: an episode, in the last row of the log; None without a row.
        best_goals: most goals an episode, among the rows with the farthest goals.
        best_steps: policy steps at that time.
        best_scale: scale of the universes at that time; None if its stage has none.
        changed: when a file of it was written last, seconds since 1970.
        problem: why it failed, or what is wrong with its files.
    """

    run: str
    state: State
    stage: str
    iteration: int
    iterations: int
    steps: int
    minutes: float
    goals: float | None
    best_goals: float | None
    best_steps: int | None
    best_scale: float | None
    changed: float
    problem: str


def list_runs(folder: Path) -> list[Run]:
    """The runs below a folder, by name.

    Raises:
        RunError: there is no such folder.
    """
    if not folder.is_dir():
        raise RunError(
            f"runs {folder}: no such folder; `inhand train` makes it, or name it: --runs"
        )
    found = {path.parent for name in NAMES for path in folder.rglob(name)}
    return [describe(path, str(path.relative_to(folder))) for path in sorted(found)]


def describe(folder: Path, name: str) -> Run:
    """One run; what is wrong with its files is said in `problem`."""
    paths, problem = Paths(folder), ""
    status, rows = None, []
    try:
        status = read_status(paths)
        problem = status.problem if status else ""
        rows = read_log(paths.log)
    except RunError as error:
        problem = str(error)
    best, last = best_row(rows) or {}, rows[-1] if rows else {}
    state: State = status.state if status else "running" if locked(paths) else "stopped"
    best_steps = best.get("steps")
    written = [path.stat().st_mtime for path in folder.iterdir() if path.is_file()]
    return Run(
        run=name,
        state=state,
        stage=status.stage if status else "",
        # The log is written more often than the status.
        iteration=int(max(status.iteration if status else 0, last.get("iteration", 0))),
        iterations=status.iterations if status else 0,
        steps=int(max(status.steps if status else 0, last.get("steps", 0))),
        minutes=max(status.minutes if status else 0.0, last.get("minutes", 0.0)),
        goals=last.get("goals"),
        best_goals=best.get("goals"),
        best_steps=None if best_steps is None else int(best_steps),
        best_scale=best.get("universe_scale"),
        changed=max(written, default=0.0),
        problem=problem,
    )


HEADS = ("run", "state", "iteration", "steps", "minutes", "goals", "best", "at", "scale", "changed")


def table(runs: list[Run]) -> str:
    """The runs as lines with columns."""
    lines = [[*HEADS]]
    for run in runs:
        of = f"/{run.iterations}" if run.iterations else ""
        lines.append(
            [
                run.run,
                run.state,
                f"{run.iteration}{of}",
                _millions(run.steps),
                f"{run.minutes:.1f}",
                _number(run.goals),
                _number(run.best_goals),
                "-" if run.best_steps is None else _millions(run.best_steps),
                _number(run.best_scale),
                time.strftime("%Y-%m-%d %H:%M", time.localtime(run.changed)),
            ]
        )
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    shown = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    return "\n".join([*shown, *(f"{run.run}: {run.problem}" for run in runs if run.problem)])


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _millions(steps: int) -> str:
    return f"{steps / 1e6:.2f} M"


@dataclass
class Arguments:
    """List the runs of training: state, steps, best result.

    Example: inhand runs --json

    Attributes:
        runs: folder of the runs.
        json: print the list as JSON.
    """

    runs: Path = Path("runs")
    json: bool = False


def main() -> int:
    """`inhand runs`."""
    given = tyro.cli(Arguments, prog="inhand runs")
    found = list_runs(given.runs)
    if given.json:
        print_json(found)
    elif found:
        print(table(found))
    else:
        print(f"{given.runs}: no run yet")
    return 0
