"""The transfer table as data: its plan, and the files of its cells."""

import hashlib
import tomllib
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from inhand.files import write_whole
from inhand.training.evaluation.report import PolicyReport
from inhand.training.evaluation.trials import EngineName, EvaluationError


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A policy: its name in the table, and its file."""

    name: str
    policy: str


class Column(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A world: nominal, of a universe file, or drawn for each trial at a scale."""

    name: str
    engine: EngineName
    universe: str = ""
    scale: float | None = None


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table: its rows and columns, the rules that all cells share, and a note to readers."""

    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    object: str = "block"
    trials: Annotated[int, Meta(ge=1)] = 20
    cap: Annotated[int, Meta(ge=1)] = 20
    seed: Annotated[int, Meta(ge=0)] = 1
    timeout: Annotated[float, Meta(gt=0, le=3600)] = 80.0
    note: str = ""


class Conditions(msgspec.Struct, frozen=True):
    """Everything that a cell's result depends on.

    Attributes:
        policy: SHA-256 of the policy's file.
        universe: SHA-256 of the universe's file; empty if there is none.
    """

    policy: str
    universe: str
    engine: EngineName
    scale: float | None
    object: str
    trials: int
    cap: int
    seed: int
    timeout: float


class Cell(msgspec.Struct, frozen=True):
    """The result of one cell: consecutive goals a trial; intervals are 95 % confidence."""

    row: str
    column: str
    conditions: Conditions
    policy: PolicyReport
    median: float
    median_interval: tuple[float, float]
    mean: float
    mean_interval: tuple[float, float]
    sd: float | None
    drops: int
    timeouts: int
    capped: int
    stopped: int
    scores: tuple[int, ...]


def load_plan(path: Path) -> Plan:
    """Reads the table's plan.

    Raises:
        EvaluationError: the file is missing or malformed, or two rows or columns have one name.
    """
    try:
        plan = msgspec.convert(tomllib.loads(path.read_text()), Plan)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise EvaluationError(f"transfer plan {path}: {error}") from error
    except msgspec.ValidationError as error:
        raise EvaluationError(f"transfer plan {path}: {error}") from error
    for what, names in (("rows", plan.rows), ("columns", plan.columns)):
        slugs = [_slug(one.name) for one in names]
        if not slugs or len(set(slugs)) < len(slugs):
            raise EvaluationError(f"transfer plan {path}: {what} need names that differ")
    return plan


def _slug(name: str) -> str:
    """A name as part of a file's name."""
    return "-".join("".join(c if c.isalnum() else " " for c in name.lower()).split())


def cell_path(folder: Path, row: Row, column: Column) -> Path:
    """Path of a cell's result."""
    return folder / f"{_slug(row.name)}--{_slug(column.name)}.json"


def read_cell(path: Path) -> Cell | None:
    """A cell's result; None if it was not measured.

    Raises:
        EvaluationError: the file is not a cell's result.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Cell)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise EvaluationError(f"transfer: {path}: {error}; remove it to measure again") from error


def conditions_of(plan: Plan, column: Column, policy: str, base: Path) -> Conditions:
    """Conditions of the result of a policy, given by its SHA-256, in a column.

    Raises:
        EvaluationError: the universe cannot be read.
    """
    universe = ""
    if column.universe:
        try:
            universe = sha256(base / column.universe)
        except OSError as error:
            raise EvaluationError(
                f"transfer: universe of {column.name}: {base / column.universe}: {error.strerror}"
            ) from error
    return Conditions(
        policy=policy,
        universe=universe,
        engine=column.engine,
        scale=column.scale,
        object=plan.object,
        trials=plan.trials,
        cap=plan.cap,
        seed=plan.seed,
        timeout=plan.timeout,
    )


def sha256(path: Path) -> str:
    """SHA-256 of a file in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_cell(path: Path, cell: Cell) -> None:
    """Writes a result atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, msgspec.json.format(msgspec.json.encode(cell)) + b"\n")


def read_cells(plan: Plan, folder: Path, base: Path) -> list[list[Cell | None]]:
    """All results, row by row; None for what was not measured.

    A cell that was measured under other conditions than the plan's is left out. If a row's policy
    file does not exist, the row's policy is the one that its first cell was measured with.
    """
    table = []
    for row in plan.rows:
        cells = [read_cell(cell_path(folder, row, column)) for column in plan.columns]
        policy = Path(row.policy)
        first = next((cell.conditions.policy for cell in cells if cell is not None), "")
        digest = sha256(policy) if policy.exists() else first
        wanted = [conditions_of(plan, column, digest, base) for column in plan.columns]
        table.append(
            [
                cell if cell is not None and cell.conditions == conditions else None
                for cell, conditions in zip(cells, wanted, strict=True)
            ]
        )
    return table
