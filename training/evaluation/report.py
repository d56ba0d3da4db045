"""Report of an evaluation: statistics over its trials, as JSON and as text."""

from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np

from inhand.training.evaluation.trials import UNSTICK, EngineName, Rules, Setup, Trial

CONFIDENCE = 0.95
RESAMPLES = 10_000


class PolicyReport(msgspec.Struct, frozen=True):
    """The policy that was measured: its file, and its training by the file's metadata."""

    file: str
    sha256: str
    engine: str
    randomization_scale: float
    commit: str


class Report(msgspec.Struct, frozen=True):
    """The result of an evaluation.

    Attributes:
        route: in lockstep, or with a daemon in real time (`wires`).
        universe: file of the universe; empty for the nominal one, or if `scale` is given.
        scale: of the universe that every trial drew; None if universes were not drawn.
        validation: whether MuJoCo had other solver settings than in training.
        rules: when a goal is reached, and when a trial ends.
        n: trials.
        median, mean, sd: of the trials' scores; the standard deviation of one trial is None.
        median_interval, mean_interval: 95 % confidence, by bootstrap.
        drops, timeouts, capped, stopped: numbers of trials by their end.
        false_successes: goals that the controller reported reached and that were not.
        missed_successes: goals that were reached and that the controller did not report.
        seconds: simulated time of all trials [s].
        wall_seconds: real time of all trials [s].
        trials: every trial, in order.
        eyes: what found the object: `tags` or `network`; in lockstep, whose errors poses have.
        alarms: of the policy's monitor, if it has one.
        over: number of trials that ended at the limit of their length.
        unstick: noise on actions while a goal takes long.
    """

    policy: PolicyReport
    engine: EngineName
    route: Literal["lockstep", "wires"]
    hand: str
    object: str
    universe: str
    scale: float | None
    validation: bool
    rules: Rules
    seed: int
    n: int
    median: float
    mean: float
    sd: float | None
    median_interval: tuple[float, float]
    mean_interval: tuple[float, float]
    drops: int
    timeouts: int
    capped: int
    stopped: int
    false_successes: int
    missed_successes: int
    seconds: float
    wall_seconds: float
    trials: tuple[Trial, ...]
    eyes: str = "tags"
    alarms: int = 0
    over: int = 0
    unstick: float = UNSTICK

    @property
    def way(self) -> str:
        """The route in words, with the eyes if they are not tags."""
        if self.eyes == "tags":
            return self.route
        of = "" if self.route == "wires" else "errors of the "
        return f"{self.route}, {of}{self.eyes}"


def make_report(
    setup: Setup, policy: PolicyReport, trials: Sequence[Trial], wall_seconds: float
) -> Report:
    """Statistics of the trials, of which there is at least one."""
    scores = np.array([trial.score for trial in trials], dtype=np.float64)
    ends = [trial.end for trial in trials]
    median_interval, mean_interval = bootstrap(scores, setup.seed)
    return Report(
        policy=policy,
        engine=setup.engine,
        route="wires" if setup.wires else "lockstep",
        hand=setup.hand,
        object=setup.object,
        universe=str(setup.universe or ""),
        scale=setup.scale,
        validation=setup.validation,
        rules=setup.rules,
        seed=setup.seed,
        n=len(trials),
        median=float(np.median(scores)),
        mean=float(np.mean(scores)),
        sd=float(np.std(scores, ddof=1)) if len(scores) > 1 else None,
        median_interval=median_interval,
        mean_interval=mean_interval,
        drops=ends.count("drop"),
        timeouts=ends.count("timeout"),
        capped=ends.count("cap"),
        stopped=ends.count("stopped"),
        false_successes=sum(trial.false_successes for trial in trials),
        missed_successes=sum(trial.missed_successes for trial in trials),
        seconds=sum(trial.seconds for trial in trials),
        wall_seconds=wall_seconds,
        trials=tuple(trials),
        eyes=setup.eyes,
        alarms=sum(trial.alarms for trial in trials),
        over=ends.count("over"),
        unstick=setup.unstick,
    )


def bootstrap(
    scores: np.ndarray[tuple[int], np.dtype[np.float64]], seed: int
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Percentile bootstrap (Efron & Tibshirani 1993, chapter 13) of median and mean.

    Args:
        scores: of the trials, (n,).
        seed: makes the intervals repeatable.

    Returns:
        Lower and upper end for the median, and for the mean.
    """
    rng = np.random.default_rng(seed)
    resampled = rng.choice(scores, (RESAMPLES, len(scores)))
    tails = [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]
    median, mean = (
        np.quantile(statistic(resampled, axis=1), tails).tolist()
        for statistic in (np.median, np.mean)
    )
    return (median[0], median[1]), (mean[0], mean[1])


def trial_line(trial: Trial, of: int) -> str:
    """One trial in one line."""
    text = f"trial {trial.trial:3d}/{of}  {trial.score:2d} goals in {trial.seconds:6.1f} s"
    text += f"  {trial.end}: {trial.reason}"
    if trial.false_successes:
        text += f"  ({trial.false_successes} more reported, not reached)"
    if trial.missed_successes:
        text += "  (1 more reached, not reported)"
    if trial.alarms:
        text += f"  (monitor: {trial.alarms} alarms)"
    return text


def summary(report: Report) -> str:
    """The evaluation in a few lines."""
    sd = "" if report.sd is None else f" ± {report.sd:.1f}"
    low, high = report.median_interval
    mean_low, mean_high = report.mean_interval
    lines = [
        f"{report.policy.file} ({report.policy.sha256[:12]}) in {report.engine}, "
        f"{report.way}, {report.rules.goals} goals within {report.rules.tolerance:g} rad, "
        f"seed {report.seed}",
        f"goals a trial: median {report.median:g} [{low:g}, {high:g}], "
        f"mean {report.mean:.1f}{sd} [{mean_low:.1f}, {mean_high:.1f}], n = {report.n}",
        f"ends: {report.drops} drops, {report.timeouts} time-outs, {report.capped} at the cap, "
        f"{report.stopped} stopped",
        f"successes: {report.false_successes} false, {report.missed_successes} missed",
        f"time: {report.seconds:.0f} s simulated in {report.wall_seconds:.0f} s",
    ]
    if report.rules.seconds:
        lines[2] += f", {report.over} after {report.rules.seconds:g} s"
    if report.alarms:
        lines.append(
            f"monitor: {report.alarms} alarms, {3600 * report.alarms / report.seconds:.1f} an hour"
        )
    return "\n".join(lines)
