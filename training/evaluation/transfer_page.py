"""The transfer table as a page and as a picture."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np

from inhand.files import whole_file, write_whole
from inhand.training.evaluation.acceptance import HELD_OUT
from inhand.training.evaluation.comparison import compare_scores
from inhand.training.evaluation.transfer_table import Cell, Plan

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402  (the backend is chosen before)

Cells = Sequence[Sequence[Cell | None]]


def write_page(path: Path, plan: Plan, cells: Cells, base: Path) -> None:
    """Writes the page: table, effects, universes and policies.

    Args:
        path: the Markdown file.
        plan: the table's rows and columns.
        cells: results, row by row.
        base: folder that the universes' paths are relative to.
    """
    missing = sum(cell is None for row in cells for cell in row)
    lines = [
        "# What transfers: policies by universes",
        "",
        f"Written by `inhand transfer`. Consecutive goals of the {plan.object}, any orientation,",
        f"0.4 rad, {plan.timeout:g} s a goal, cap {plan.cap}, {plan.trials} trials a cell in",
        f"lockstep, seed {plan.seed}: median [95 % confidence], mean ± standard deviation. Results",
        "of each trial are in [transfer/](transfer/); those in held-out engines are also in",
        "[the log](acceptance-log.md). No policy was trained or chosen there.",
        "",
        *([plan.note, ""] if plan.note else []),
        *([f"**{missing} cells are still to be measured.**", ""] if missing else []),
        "| | " + " | ".join(column.name for column in plan.columns) + " |",
        "|---" * (len(plan.columns) + 1) + "|",
    ]
    for row, results in zip(plan.rows, cells, strict=True):
        lines.append(f"| {row.name} | " + " | ".join(_cell_text(one) for one in results) + " |")
    lines += ["", "![The same as a picture](images/transfer.png)", ""]
    lines += ["## What each ingredient brings", ""]
    lines += [
        "Trials of one number have the same goals in every row. Over all columns of held-out",
        "engines:",
        "",
        *_effects(plan, cells),
        "",
        "## The adverse universes",
        "",
        "Chosen from the edges of the [ranges at scale 1](universe.md), before any score.",
        "",
    ]
    for column in plan.columns:
        if column.universe:
            text = (base / column.universe).read_text().splitlines()
            comment = " ".join(line[1:].strip() for line in text if line.startswith("#"))
            lines.append(f"- **{column.name}** (`{Path(column.universe).name}`): {comment}")
    lines += ["", "## The policies", ""]
    for row, results in zip(plan.rows, cells, strict=True):
        found = next((cell.policy for cell in results if cell is not None), None)
        about = (
            f"not measured yet (`{row.policy}`)"
            if found is None
            else f"SHA-256 {found.sha256}, trained in {found.engine} at randomization scale "
            f"{found.randomization_scale:g}, commit {found.commit[:12]}"
        )
        lines.append(f"- **{row.name}**: {about}")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, "\n".join(lines) + "\n")


def _cell_text(cell: Cell | None) -> str:
    if cell is None:
        return "–"
    low, high = cell.median_interval
    sd = "" if cell.sd is None else f" ± {cell.sd:.1f}"
    return f"**{cell.median:g}** [{low:g}, {high:g}], {cell.mean:.1f}{sd}"


def _effects(plan: Plan, cells: Cells) -> list[str]:
    """For each row but the first: its difference to the first row, in held-out engines."""
    full, lines = cells[0], []
    for row, results in zip(plan.rows[1:], cells[1:], strict=True):
        both = [
            (one.scores, two.scores)
            for one, two in zip(results, full, strict=True)
            if one is not None and two is not None and two.conditions.engine in HELD_OUT
        ]
        if not both:
            lines.append(f"- **{row.name}**: not measured yet.")
            continue
        less, more = (np.array([pair[side] for pair in both]).mean(axis=0) for side in (0, 1))
        found = compare_scores(less, more)
        low, high = found.difference_interval
        verdict = (
            "a statistically significant gain"
            if low > 0
            else "a statistically significant loss"
            if high < 0
            else "no statistically significant effect at this number of trials"
        )
        lines.append(
            f"- **{row.name}** reaches {found.first_mean:.1f} goals a trial, {plan.rows[0].name} "
            f"{found.second_mean:.1f}: {found.difference:+.1f} [{low:+.1f}, {high:+.1f}], "
            f"over {len(both)} columns: {verdict}."
        )
    return lines


def draw(path: Path, plan: Plan, cells: Cells) -> None:
    """Draws the medians as a coloured table."""
    medians = np.array([[np.nan if c is None else c.median for c in row] for row in cells])
    figure, axis = plt.subplots(figsize=(1.2 * len(plan.columns) + 3, 0.7 * len(plan.rows) + 1.8))
    axis.imshow(medians, cmap="viridis", vmin=0, vmax=plan.cap, aspect="auto")
    for (row, column), median in np.ndenumerate(medians):
        cell = cells[row][column]
        text = "–" if cell is None else f"{median:g}\n({cell.mean:.1f})"
        dark = cell is not None and median < 0.6 * plan.cap
        axis.text(column, row, text, ha="center", va="center", color="w" if dark else "k")
    axis.set_xticks(
        range(len(plan.columns)), [c.name for c in plan.columns], rotation=30, ha="right"
    )
    axis.set_yticks(range(len(plan.rows)), [row.name for row in plan.rows])
    axis.set_title(f"median (mean) of goals in a row, cap {plan.cap}, n = {plan.trials}")
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        figure.savefig(file, format="png", dpi=100)
    plt.close(figure)
