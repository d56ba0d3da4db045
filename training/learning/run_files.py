"""The folder of a run: its files, whether a process trains in it, and its result."""

import csv
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from inhand.errors import InhandError
from inhand.files import write_whole

State = Literal["running", "stopped", "finished", "failed"]


class RunError(InhandError):
    """A run's folder cannot be used."""


@dataclass(frozen=True)
class Paths:
    """Paths of a run's files."""

    folder: Path

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.pt"

    @property
    def log(self) -> Path:
        return self.folder / "log.csv"

    @property
    def curve(self) -> Path:
        return self.folder / "curve.png"

    @property
    def events(self) -> Path:
        """Folder of TensorBoard's files."""
        return self.folder / "tensorboard"

    @property
    def status(self) -> Path:
        return self.folder / "run.json"

    @property
    def lock(self) -> Path:
        return self.folder / "lock"


class RunStatus(msgspec.Struct, frozen=True):
    """What is known of a run; written when it starts, with each checkpoint, and when it ends.

    Attributes:
        run: name of the folder under `runs/`.
        stage: what is trained.
        iterations: after which the run is complete.
        iteration: done so far.
        steps: policy steps of all worlds so far.
        minutes: spent so far.
        state: at that time. A process that was killed leaves `running` here.
        problem: why it failed; empty if it did not.
    """

    run: str
    stage: str
    iterations: int
    iteration: int = 0
    steps: int = 0
    minutes: float = 0.0
    state: State = "running"
    problem: str = ""


def write_status(paths: Paths, status: RunStatus) -> None:
    """Writes `run.json` whole; raises as `write_whole` does."""
    write_whole(paths.status, msgspec.json.format(msgspec.json.encode(status)) + b"\n")


def read_status(paths: Paths) -> RunStatus | None:
    """What `run.json` says, with the state that is so now; None if there is no such file.

    Raises:
        RunError: the file is damaged.
    """
    try:
        status = msgspec.json.decode(paths.status.read_bytes(), type=RunStatus)
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, msgspec.DecodeError) as error:
        raise RunError(
            f"run status {paths.status} cannot be read ({error}); delete the file, the next start "
            "of the run writes it anew"
        ) from error
    if locked(paths):
        return msgspec.structs.replace(status, state="running", problem="")
    if status.state == "running":
        return msgspec.structs.replace(status, state="stopped", problem="ended without a last save")
    return status


@contextmanager
def sole_trainer(paths: Paths) -> Iterator[None]:
    """Holds the run's lock, so that no other process trains in the same folder.

    The kernel releases the lock when the process ends, however it ends.

    Raises:
        RunError: another process holds it, or the folder cannot be written.
    """
    try:
        paths.folder.mkdir(parents=True, exist_ok=True)
        file = paths.lock.open("a+")
    except OSError as error:
        raise RunError(f"run folder {paths.folder} cannot be used: {error.strerror}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            raise RunError(
                f"run folder {paths.folder}: process {file.read().strip() or 'unknown'} trains in "
                "it already; stop that one, or give the recipe another name of its run"
            ) from error
        file.truncate(0)
        print(os.getpid(), file=file, flush=True)
        yield


def locked(paths: Paths) -> bool:
    """Whether a process trains in this folder now."""
    with suppress(OSError), paths.lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


Row = dict[str, float]
"""A line of the log: a number for each name."""


def read_log(path: Path) -> list[Row]:
    """The rows of a log; a last line that was not written whole is left out.

    Raises:
        RunError: the file is not a log.
    """
    try:
        with path.open(newline="") as file:
            lines = list(csv.DictReader(file))
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RunError(f"log {path} cannot be read: {error}") from error
    rows = []
    for number, line in enumerate(lines, 2):
        try:
            # A column that a later version added is empty in earlier rows.
            row = {name: float(value) for name, value in line.items() if value != ""}
            rows.append({"iteration": row.pop("iteration"), "steps": row.pop("steps"), **row})
        except (TypeError, ValueError, KeyError) as error:
            if number == len(lines) + 1:
                break
            raise RunError(
                f"log {path}: line {number} is not a row of the log; delete it"
            ) from error
    return rows


def best_row(rows: list[Row]) -> Row | None:
    """The row with the most goals an episode, among those with the farthest goals.

    A teacher begins with goals that are near, so that its first counts are not comparable.
    """
    counted = [row for row in rows if "goals" in row]
    farthest = max((row.get("distance", 0.0) for row in counted), default=0.0)
    far = [row for row in counted if row.get("distance", 0.0) == farthest]
    return max(far, key=lambda row: row["goals"], default=None)
