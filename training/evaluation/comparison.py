"""`inhand compare`: the difference of two evaluations of the same seeds, with its interval."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
import tyro

from inhand.hardware.records import Array
from inhand.result import print_json
from inhand.training.evaluation.report import CONFIDENCE, RESAMPLES, Report
from inhand.training.evaluation.trials import EvaluationError

_SHARED = ("hand", "object", "rules", "seed")
"""Fields that must be equal for trials of one number to be the same trial."""


class Comparison(msgspec.Struct, frozen=True):
    """Scores of the same trials under two conditions.

    Attributes:
        n: trials in both.
        first_mean, second_mean: goals a trial.
        difference: second mean less the first.
        difference_interval: 95 % confidence, by bootstrap over pairs.
        ratio: second mean over the first; None if the first is 0.
        ratio_interval: 95 % confidence; None if the first mean may be 0.
    """

    n: int
    first_mean: float
    second_mean: float
    difference: float
    difference_interval: tuple[float, float]
    ratio: float | None
    ratio_interval: tuple[float, float] | None


def compare_scores(first: Sequence[float] | Array, second: Sequence[float] | Array) -> Comparison:
    """Compares scores of the same trials, (n,) each, by a percentile bootstrap over pairs.

    Efron & Tibshirani 1993, chapter 13. Pairs are drawn together, since an easy trial is easy
    under both conditions.
    """
    pairs = np.column_stack([first, second]).astype(np.float64)
    drawn = np.random.default_rng(1).integers(len(pairs), size=(RESAMPLES, len(pairs)))
    means = pairs[drawn].mean(axis=1)
    one, two = pairs.mean(axis=0).tolist()
    certain = bool(np.all(means[:, 0] > 0))
    return Comparison(
        n=len(pairs),
        first_mean=one,
        second_mean=two,
        difference=two - one,
        difference_interval=_interval(means[:, 1] - means[:, 0]),
        ratio=two / one if one > 0 else None,
        ratio_interval=_interval(means[:, 1] / means[:, 0]) if certain else None,
    )


def _interval(values: Array) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]).tolist()
    return low, high


def compare_reports(first: Report, second: Report) -> Comparison:
    """Compares the trials that two evaluations have in common.

    Raises:
        EvaluationError: the evaluations have other trials (hand, object, rules or seed differ), or
            none in common.
    """
    for name in _SHARED:
        one, two = getattr(first, name), getattr(second, name)
        if one != two:
            raise EvaluationError(
                f"compare: {name} differs ({one} and {two}), so that trials of one number are "
                "not the same trial; evaluate both alike"
            )
    scores = [{trial.trial: trial.score for trial in report.trials} for report in (first, second)]
    common = sorted(scores[0].keys() & scores[1].keys())
    if not common:
        raise EvaluationError("compare: the evaluations have no trial in common")
    return compare_scores(*([by_number[n] for n in common] for by_number in scores))


def read_report(path: Path) -> Report:
    """Reads what `inhand eval --json` printed.

    Raises:
        EvaluationError: the file is missing or is not a report.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Report)
    except OSError as error:
        raise EvaluationError(f"compare: {path}: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise EvaluationError(
            f"compare: {path}: not what `inhand eval --json` prints ({error})"
        ) from error


@dataclass(frozen=True)
class Arguments:
    """Compare two evaluations of the same seeds: the difference, with its confidence interval.

    Example: inhand compare lockstep.json wires.json

    Attributes:
        first: What `inhand eval --json` printed.
        second: The same of the other evaluation, of the same seed and rules.
        json: Print the comparison as JSON.
    """

    first: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FILE")]
    second: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FILE")]
    json: bool = False


def main() -> int:
    """Entry point of `inhand compare`."""
    given = tyro.cli(Arguments, prog="inhand compare", config=(tyro.conf.FlagCreatePairsOff,))
    first, second = read_report(given.first), read_report(given.second)
    found = compare_reports(first, second)
    if given.json:
        print_json(found)
        return 0
    for report, mean in ((first, found.first_mean), (second, found.second_mean)):
        policy = f"{report.policy.file} ({report.policy.sha256[:12]})"
        print(f"{mean:6.2f} goals a trial: {policy} in {report.engine}, {report.route}")
    low, high = found.difference_interval
    print(f"{found.difference:+6.2f} [{low:+.2f}, {high:+.2f}] difference, n = {found.n} pairs")
    if found.ratio is not None:
        interval = found.ratio_interval
        sure = "" if interval is None else f" [{100 * interval[0]:.0f}, {100 * interval[1]:.0f}]"
        print(f"{100 * found.ratio:6.0f}{sure} % of the first")
    return 0
