"""The page of documentation that `inhand probe` writes."""

from collections.abc import Callable, Mapping

import msgspec

from inhand.training.evaluation.probe_readout import APART, Reading

SOURCES = {
    "memory": "memory",
    "observation": "last observation",
    "statistics": "statistics of observations",
    "random": "random LSTM",
    "ceiling": "trained GRU",
}
"""Where the world is read from, and its words in the tables."""


Words = Callable[[float], str]
"""Writes a value."""


class Report(msgspec.Struct, frozen=True):
    """The result: policy, conditions, number of trials, and what was found.

    Attributes:
        explained: R² by property and source.
        answers: shares of correct answers by question and source.
        majority: share of the more frequent answer by question.
        asked: number of worlds by question.
    """

    policy: str
    sha256: str
    object: str
    seconds: float
    scale: float
    seed: int
    begun: int
    n: int
    explained: dict[str, dict[str, Reading]]
    answers: dict[str, dict[str, Reading]]
    majority: dict[str, float]
    asked: dict[str, int]


def page(report: Report) -> str:
    """The report as a page of the documentation."""
    sources = [words for name, words in SOURCES.items() if name in _sources(report)]
    lines = [
        "# What the policy's memory encodes of its world",
        "",
        f"Written by `inhand probe`. {report.policy} (SHA-256 {report.sha256}) turned the",
        f"{report.object} for {report.seconds:g} s, goal after goal, in {report.begun} worlds of",
        f"MuJoCo, under noise and latency (seed {report.seed}). Every property of a world was",
        f"drawn by itself, up to {report.scale:g} times the",
        f"[range of training](universe.md#draws-of-training); {report.n} trials had not ended. The",
        "world is read from:",
        "",
        "- the policy's **memory**: hidden and cell state, mean of the last second;",
        "- the **last observation** alone;",
        "- **statistics of observations**: mean and deviation in the last second and in the trial;",
        "- a **random LSTM** that saw the same observations: what any memory would hold;",
        "- a **GRU trained** on these observations to read the properties, as a ceiling. It is",
        "  scored on a fifth of the trials.",
        "",
        "The first four are read by linear regressions. All are scored on trials that neither the",
        "regression nor the GRU has seen [95 % confidence].",
        "",
        "## Properties: R²",
        "",
        "0 is no better than the mean of all worlds, 1 is perfect.",
        "",
        *_table("property", sources, report.explained, {}, lambda x: f"{x:.2f}"),
        "",
        "## Questions: share of correct answers",
        "",
        f"Asked of worlds that differ by at least {100 * APART:.0f} % from nominal.",
        "",
        *_table(
            "question",
            [*sources, "more frequent answer"],
            report.answers,
            {name: f"{100 * share:.0f} %" for name, share in report.majority.items()},
            lambda x: f"{100 * x:.0f} %",
        ),
        "",
        "From Dactyl's memory, 80 % of sizes were answered correctly (arXiv:1808.00177, section",
        "6.6).",
    ]
    return "\n".join(lines) + "\n"


def _sources(report: Report) -> set[str]:
    return {name for row in report.explained.values() for name in row}


def _table(
    title: str,
    columns: list[str],
    rows: Mapping[str, Mapping[str, Reading]],
    last: Mapping[str, str],
    words: Words,
) -> list[str]:
    lines = [f"| {title} | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for name, row in rows.items():
        cells = [_cell(row[source], words) for source in SOURCES if source in row]
        lines.append(f"| {' | '.join([name, *cells, *([last[name]] if name in last else [])])} |")
    return lines


def _cell(reading: Reading, words: Words) -> str:
    low, high = (words(end).removesuffix(" %") for end in reading.interval)
    return f"{words(reading.value)} [{low}, {high}]"
