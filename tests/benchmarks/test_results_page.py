"""The page of results: what was not measured again keeps its rows."""

from datetime import date

from benchmarks.__main__ import page
from benchmarks.measure import row


def rows_of(text: str, topic: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(f"| {topic} |")]


def test_other_topics_keep_their_rows_and_dates() -> None:
    first = {
        "bus": [row("cycle", 1.0, "ms", "limit", 2.0, 1.0)],
        "tick": [row("a", 1.0, "ms", "limit", 2.0, 1.0), row("b", 3.0, "ms", "limit", 2.0, 1.0)],
    }
    before = page(first, "", date(2026, 1, 1))
    assert [len(rows_of(before, topic)) for topic in ("tick", "bus")] == [2, 1]
    again = page({"tick": [row("c", 1.0, "ms", "limit", 2.0, 1.0)]}, before, date(2026, 1, 2))
    assert rows_of(again, "bus") == rows_of(before, "bus")
    (new,) = rows_of(again, "tick")
    assert "| c |" in new and new.endswith("| met | 2026-01-02 |")
    assert page(first, again, date(2026, 1, 1)) == before
