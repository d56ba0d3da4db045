"""Timing of two functions side by side, rows of results, and sections of pages."""

import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np

from inhand.files import write_whole


class Row(msgspec.Struct, frozen=True, rename={"passed": "pass"}):
    """One figure beside its peer or limit, from the same run.

    Attributes:
        name: what was measured.
        value: ours.
        unit: of value, peer value and bar.
        peer: name of the peer or limit.
        peer_value: of the peer.
        ratio: value over peer value.
        bar: upper limit of the ratio; the lower limit if `more_is_better`.
        passed: whether the ratio is within the limit; None without a limit.
    """

    name: str
    value: float
    unit: str
    peer: str
    peer_value: float
    ratio: float
    bar: float | None
    passed: bool | None


def row(
    name: str,
    value: float,
    unit: str,
    peer: str,
    peer_value: float,
    bar: float | None = None,
    *,
    more_is_better: bool = False,
) -> Row:
    """Makes a row; `bar` is of the ratio."""
    ratio = value / peer_value
    passed = None if bar is None else ratio >= bar if more_is_better else ratio <= bar
    return Row(name, value, unit, peer, peer_value, ratio, bar, passed)


def side_by_side(
    ours: Callable[[], object],
    peer: Callable[[], object],
    rounds: int = 30,
    calls: int = 20,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[float, float]:
    """Median time of a call of each [s]; calls alternate, so that the machine's load is equal."""
    times: tuple[list[float], list[float]] = [], []
    ours(), peer()
    for _ in range(rounds):
        for function, taken in zip((ours, peer), times, strict=True):
            began = clock()
            for _ in range(calls):
                function()
            taken.append((clock() - began) / calls)
    return float(np.median(times[0])), float(np.median(times[1]))


def median_time(function: Callable[[], object], calls: int) -> float:
    """Median time of one call [s]."""
    function()
    taken = []
    for _ in range(calls):
        began = time.perf_counter()
        function()
        taken.append(time.perf_counter() - began)
    return float(np.median(taken))


def write_section(page: Path, name: str, text: str) -> None:
    """Replaces the text between the marks of a section, `<!-- NAME: begin -->` and `end`.

    Raises:
        ValueError: the page does not have the two marks once each.
    """
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
    before, rest = page.read_text(encoding="utf-8").split(begin)
    _, after = rest.split(end)
    write_whole(page, before + begin + text + end + after)
