"""The table of where the time of training goes."""

from pathlib import Path

import pytest

from benchmarks.measure import row
from benchmarks.pages import END, mark


def test_the_table_has_a_line_for_each_stage(tmp_path: Path) -> None:
    training = pytest.importorskip("benchmarks.training")
    rows = [
        row(training.SHARE.format("physics", "teacher"), 54.4, "%", "all of it", 100.0),
        row(training.SHARE.format("learning", "teacher"), 33.0, "%", "all of it", 100.0, 0.35),
        row("physics beside threads", 1.0, "1/s", "peer", 1.0),
    ]
    page = tmp_path / "training.md"
    page.write_text(training.PAGE.read_text())
    training.write(rows, page)
    _, _, rest = page.read_text().partition(mark(training.COMMAND))
    assert "| teacher | 54 | – | – | 33 |" in rest.partition(END)[0]
    assert "| refinement | – | – | – | – |" in rest.partition(END)[0]
