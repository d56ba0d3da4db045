"""The log of a run: a table for programs, TensorBoard and, if asked for, wandb for people."""

import csv
import io
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from inhand.errors import remedy
from inhand.files import write_whole
from inhand.training.learning.run_files import Paths, Row, RunError, read_log

FLUSH_SECONDS = 30
START_SECONDS = 300.0
"""Patience with the process that wandb starts, on a busy machine."""


class RunLog:
    """Writes each row to `log.csv` and to TensorBoard's files, by policy steps.

    A run that is resumed goes on from its checkpoint. Rows of later iterations, which a process
    wrote before it was killed, are taken out of both, so that nothing is in them twice.

    Args:
        paths: of the run.
        wandb: whether rows also go to files of wandb. They stay on this machine.
        settings: of the run, for wandb.
    """

    def __init__(
        self, paths: Paths, wandb: bool = False, settings: dict[str, Any] | None = None
    ) -> None:
        self._paths, self._wanted, self._settings = paths, wandb, settings or {}
        self._columns: list[str] = []
        self._events: SummaryWriter | None = None
        self._wandb: Any = None

    def open(self, iteration: int, steps: int) -> None:
        """Begins, or goes on after this iteration and these policy steps.

        Raises:
            RunError: the log that is there cannot be read, or wandb is not installed.
        """
        rows = [row for row in read_log(self._paths.log) if row["iteration"] <= iteration]
        self._rewrite(rows)
        if self._wanted:
            self._wandb = start_wandb(self._paths.folder, self._settings)
        self._events = SummaryWriter(
            str(self._paths.events), purge_step=steps + 1, flush_secs=FLUSH_SECONDS
        )

    def write(self, row: Row) -> None:
        """Adds a row to everything that is open."""
        if set(row) - set(self._columns):
            self._rewrite(read_log(self._paths.log), [*row])
        with self._paths.log.open("a", newline="") as file:
            csv.writer(file).writerow(_cells(row, self._columns))
        steps = int(row["steps"])
        if self._events:
            for name, value in row.items():
                if name != "steps":
                    self._events.add_scalar(name, value, steps)
        if self._wandb:
            self._wandb.log(row, step=steps)

    def close(self) -> None:
        """Writes what is buffered."""
        if self._events:
            self._events.close()
        if self._wandb:
            self._wandb.finish()

    def _rewrite(self, rows: list[Row], more: list[str] | None = None) -> None:
        """Writes the table anew with these rows, and with these columns besides theirs."""
        names = dict.fromkeys([*(name for row in rows for name in row), *(more or [])])
        self._columns = list(names)
        if not names:
            self._paths.log.unlink(missing_ok=True)
            return
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow(self._columns)
        writer.writerows(_cells(row, self._columns) for row in rows)
        write_whole(self._paths.log, text.getvalue())


def _cells(row: Row, columns: list[str]) -> list[str]:
    return [_cell(name, row[name]) if name in row else "" for name in columns]


def _cell(name: str, value: float) -> str:
    # Counters keep all digits, since a resumed run is cut by them.
    return f"{value:.0f}" if name in ("iteration", "steps") else f"{value:.6g}"


def start_wandb(folder: Path, settings: dict[str, Any]) -> Any:
    """Begins a run of wandb that stays in `folder/wandb`; `wandb sync` uploads it later.

    Raises:
        RunError: wandb is not installed, or does not start.
    """
    try:
        import wandb
    except ImportError as error:
        raise RunError(f"--wandb: wandb is not installed; {remedy('wandb')}") from error
    quiet = wandb.Settings(
        silent=True,
        console="off",
        disable_git=True,
        disable_code=True,
        x_disable_stats=True,
        init_timeout=START_SECONDS,
        x_service_wait=START_SECONDS,
    )
    try:
        return wandb.init(
            project="inhand",
            name=str(settings.get("run", folder.name)),
            mode="offline",
            dir=str(folder),
            config=settings,
            settings=quiet,
        )
    except (wandb.Error, TimeoutError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RunError(f"--wandb: wandb did not start ({reason}); leave it out") from error
