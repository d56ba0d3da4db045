"""`inhand transfer`: measures the table of policies by universes; each cell is a small file.

A cell that was measured with the same policy, universe and rules is not measured again.
"""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from inhand.errors import WriteError
from inhand.result import print_json
from inhand.training.evaluation.evaluation import measure, own_output, prepare
from inhand.training.evaluation.evaluation_arguments import EvaluationArguments, module_of
from inhand.training.evaluation.report import PolicyReport, Report
from inhand.training.evaluation.transfer_table import (
    Cell,
    Column,
    Conditions,
    Plan,
    Row,
    cell_path,
    conditions_of,
    load_plan,
    read_cell,
    read_cells,
    sha256,
    write_cell,
)
from inhand.training.evaluation.trials import EngineName, EvaluationError, Setup
from inhand.training.evaluation.workers import cluster, termination_interrupts

PLAN = Path(__file__).parents[1] / "transfer.toml"


@dataclass(frozen=True)
class Task:
    """A cell that is not measured yet, with its inputs read and checked."""

    row: Row
    column: Column
    conditions: Conditions
    setup: Setup
    policy: PolicyReport


def open_tasks(plan: Plan, folder: Path, base: Path) -> Iterator[Task]:
    """The cells that are missing or were measured under other conditions, column by column.

    A row whose policy file does not exist is skipped.

    Args:
        plan: the table.
        folder: of the cells' results.
        base: folder that the universes' paths are relative to.

    Raises:
        InhandError: a policy or a universe does not fit.
    """
    for column in plan.columns:
        for row in plan.rows:
            if not Path(row.policy).exists():
                continue
            conditions = conditions_of(plan, column, sha256(Path(row.policy)), base)
            cell = read_cell(cell_path(folder, row, column))
            if cell is not None and cell.conditions == conditions:
                continue
            universe = Path(os.path.relpath(base / column.universe)) if column.universe else None
            arguments = EvaluationArguments(
                engine=column.engine,
                policy=Path(row.policy),
                object=plan.object,
                trials=plan.trials,
                seed=plan.seed,
                universe=universe,
                scale=column.scale,
                timeout=plan.timeout,
                cap=plan.cap,
            )
            yield Task(row, column, conditions, *prepare(arguments))


def make_cell(task: Task, report: Report) -> Cell:
    """The result of a cell as it is stored."""
    return Cell(
        row=task.row.name,
        column=task.column.name,
        conditions=task.conditions,
        policy=task.policy,
        median=report.median,
        median_interval=report.median_interval,
        mean=report.mean,
        mean_interval=report.mean_interval,
        sd=report.sd,
        drops=report.drops,
        timeouts=report.timeouts,
        capped=report.capped,
        stopped=report.stopped,
        scores=tuple(trial.score for trial in report.trials),
    )


@dataclass(frozen=True)
class Arguments:
    """Fill the transfer table: measure missing cells, then draw the table.

    Example: inhand transfer --jobs 2

    Attributes:
        plan: Rows, columns and rules; by default those of the table in docs/transfer.md.
        docs: Folder of `transfer/`, `transfer.md` and `images/transfer.png`.
        engine: Measure cells of this engine only.
        cells: Largest number of cells to measure; 0 only draws the table.
        jobs: Trials at a time.
        ray: Spread trials over a Ray cluster: HOST:PORT of its head, or `local`.
        json: Print all cells as JSON.
    """

    plan: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FILE")] = PLAN
    docs: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("docs")
    engine: EngineName | None = None
    cells: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    jobs: int = 1
    ray: Annotated[str, tyro.conf.arg(metavar="ADDRESS")] = ""
    json: bool = False


def fill(given: Arguments, plan: Plan) -> bool:
    """Measures missing cells one after the other; returns False if it was interrupted."""
    folder, measured = given.docs / "transfer", 0
    for row in plan.rows:
        if not Path(row.policy).exists():
            print(f"transfer: no policy yet for {row.name}: {row.policy}", file=sys.stderr)
    for task in open_tasks(plan, folder, given.plan.parent):
        if given.engine not in (None, task.column.engine):
            continue
        if measured == given.cells:
            break
        print(f"transfer: {task.row.name}, {task.column.name}", file=sys.stderr)
        report = measure(
            task.setup,
            task.policy,
            plan.trials,
            given.jobs,
            sys.stderr,
            on_cluster=bool(given.ray),
        )
        if report is None or report.n < plan.trials:
            return False
        write_cell(cell_path(folder, task.row, task.column), make_cell(task, report))
        measured += 1
    return True


def main() -> int:
    """Entry point of `inhand transfer`."""
    from inhand.training.evaluation.transfer_page import draw, write_page

    given = tyro.cli(Arguments, prog="inhand transfer", config=(tyro.conf.FlagCreatePairsOff,))
    plan = load_plan(given.plan)
    with termination_interrupts(), own_output() as output:
        try:
            engines = {given.engine} if given.engine else {c.engine for c in plan.columns}
            with cluster(given.ray, given.jobs, [module_of(engine) for engine in engines]):
                whole = fill(given, plan)
            cells = read_cells(plan, given.docs / "transfer", given.plan.parent)
            write_page(given.docs / "transfer.md", plan, cells, given.plan.parent)
            draw(given.docs / "images" / "transfer.png", plan, cells)
        except (OSError, WriteError) as error:
            raise EvaluationError(
                f"transfer: {error}; cells measured before are intact, the same command continues "
                "from there"
            ) from error
        found = [cell for row in cells for cell in row if cell is not None]
        total = len(plan.rows) * len(plan.columns)
        summary = f"{given.docs / 'transfer.md'}: {len(found)} of {total} cells are measured"
        if given.json:
            print_json(found)
        else:
            print(summary, file=output)
    return 0 if whole else 130
