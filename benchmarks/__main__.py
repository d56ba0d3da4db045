"""`python -m benchmarks`: measures, prints, and writes `benchmarks/results.md`."""

import importlib
import platform
import sys
from contextlib import nullcontext
from datetime import date
from pathlib import Path
from typing import Annotated, Literal, get_args

import tyro

from benchmarks.measure import Row
from inhand.files import write_whole
from inhand.result import print_json, results_only

RESULTS = Path(__file__).parent / "results.md"
Topic = Literal["tick", "bus", "perception", "worlds", "training", "daemon", "latency", "view"]
TOPICS: tuple[Topic, ...] = get_args(Topic)

HEADINGS = ("topic", "what", "ours", "beside", "ratio", "bar", "")


def row(topic: str, one: Row) -> str:
    """A row of a Markdown table."""
    bar = "" if one.bar is None else f"{one.bar:g}"
    verdict = {None: "", True: "met", False: "**missed**"}[one.passed]
    return (
        f"| {topic} | {one.name} | {one.value:.3g} {one.unit} | {one.peer}: "
        f"{one.peer_value:.3g} {one.unit} | {one.ratio:.2g} | {bar} | {verdict} |"
    )


def table(lines: list[str], headings: tuple[str, ...] = HEADINGS) -> str:
    """Rows as a Markdown table."""
    head = [f"| {' | '.join(headings)} |", "|---" * len(headings) + "|"]
    return "\n".join([*head, *lines]) + "\n"


def page(rows: dict[str, list[Row]], before: str, today: date) -> str:
    """The page of results: new rows of what was measured, and the rows before of other topics.

    Args:
        rows: by topic.
        before: the page so far.
        today: written beside the new rows.
    """
    lines = []
    for topic in TOPICS:
        if topic in rows:
            lines += [f"{row(topic, one)} {today} |" for one in rows[topic]]
        else:
            lines += [one for one in before.splitlines() if one.startswith(f"| {topic} |")]
    return (
        f"# What was measured\n\nBy `make bench`, or `inhand bench TOPIC --write`, on "
        f"{platform.machine()}, Python {platform.python_version()}.\n"
        "Ratios count: both sides ran in turns in one run.\n\n"
        + table(lines, (*HEADINGS, "measured on"))
    )


def bench(
    topics: tyro.conf.Positional[tuple[Topic, ...]] = TOPICS,
    /,
    json: bool = False,
    write: Annotated[
        bool, tyro.conf.arg(help="Write the rows into benchmarks/results.md.")
    ] = False,
) -> int:
    """Measures the speed of the parts, each beside its peer or limit in the same run.

    Example: inhand bench tick bus --json

    Args:
        topics: What to measure; everything if not given.
        json: Print the rows as JSON.
    """
    rows: dict[str, list[Row]] = {}
    for topic in topics:
        print(f"measuring {topic} ...", file=sys.stderr, flush=True)
        rows[topic] = importlib.import_module(f"benchmarks.{topic}").measure()
        if not json:
            # Printed at once, since a later topic may fail.
            print(table([row(topic, one) for one in rows[topic]]), flush=True)
    if json:
        every = [one for measured in rows.values() for one in measured]
        print_json(every)
    if write and "training" in rows:
        importlib.import_module("benchmarks.training").write(rows["training"])
    if write:
        before = RESULTS.read_text() if RESULTS.exists() else ""
        write_whole(RESULTS, page(rows, before, date.today()))
    return 0


def main() -> int:
    """Entry point of `inhand bench` and of `python -m benchmarks`."""
    with results_only() if "--json" in sys.argv else nullcontext():
        return _bench()


def _bench() -> int:
    return tyro.cli(bench, prog="inhand bench", config=(tyro.conf.FlagCreatePairsOff,))


if __name__ == "__main__":
    sys.exit(main())
