"""The held-out log: one line for each evaluation of a trained policy in a held-out engine."""

import datetime
import subprocess
from pathlib import Path

from inhand.training.evaluation.report import Report

ROOT = Path(__file__).resolve().parents[2]
HELD_OUT = ("pybullet", "drake")
LOG = ROOT / "docs" / "acceptance-log.md"


def is_held_out(report: Report) -> bool:
    """Whether the evaluation is of a trained policy in the held-out engine.

    Policies that tests make are trained in no engine and do not count.
    """
    return report.engine in HELD_OUT and report.policy.engine != "none"


def log_line(report: Report, commit: str, date: str, planned: int) -> str:
    """The line as the log's table has it."""
    worlds = report.universe or "nominal"
    if report.scale is not None:
        worlds = f"scale {report.scale:g}"
    rules = report.rules
    terms = f"{rules.tolerance:g} rad, hold {rules.hold:g} s, {rules.timeout:g} s, cap {rules.cap}"
    if rules.seconds:
        terms += f", {rules.seconds:g} s a trial"
    low, high = report.median_interval
    cells = (
        date,
        commit,
        f"{report.policy.file} {report.policy.sha256[:12]}",
        report.object,
        report.rules.goals,
        worlds,
        f"{report.seed}, trials 1–{report.n}",
        report.way if report.engine == "pybullet" else f"{report.way}, {report.engine}",
        terms,
        f"{report.n}" if report.n == planned else f"{report.n} of {planned}, broken off",
        f"{report.median:g} [{low:g}, {high:g}]",
        f"{report.mean:.1f}",
        str(report.drops),
        str(report.timeouts),
        str(report.stopped),
    )
    return f"| {' | '.join(cells)} |\n"


def append_to_log(report: Report, planned: int, log: Path = LOG) -> str:
    """Appends the evaluation to the log.

    Args:
        report: the result.
        planned: number of trials that were requested.
        log: the file.

    Returns:
        Message for the user: the log file, or why nothing was logged.
    """
    if not log.exists():
        return f"nothing was logged: there is no {log} (an installed program has none)"
    date = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M")
    with log.open("a") as file:
        file.write(log_line(report, commit(), date, planned))
    return f"logged in {log}: commit it, whatever the result"


def commit(root: Path = ROOT) -> str:
    """The program's commit, with `-dirty` if files were changed; `unknown` outside a repository.

    Lines of the log are no change of the program: an evaluation writes one, and is continued.
    """
    log = f":(top,exclude){LOG.relative_to(ROOT)}"
    try:
        named = _git(root, "describe", "--always", "--abbrev=12", "--exclude=*")
        changed = _git(root, "status", "--porcelain", "--untracked-files=no", "--", ":(top)", log)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return named + "-dirty" if changed else named


def _git(root: Path, *arguments: str) -> str:
    command = ["git", *arguments]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    return done.stdout.strip()
