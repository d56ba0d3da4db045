"""File of finished trials, from which an interrupted evaluation continues."""

import hashlib
from pathlib import Path

import msgspec

from inhand.files import write_whole
from inhand.training.evaluation.trials import UNSTICK, EvaluationError, Rules, Setup, Trial


class Conditions(msgspec.Struct, frozen=True):
    """Everything that a trial's result depends on, apart from its number.

    Attributes:
        policy: SHA-256 of the ONNX file.
        universe: SHA-256 of the universe's file; empty for none.
        commit: of the program, with `-dirty` if it was changed.
    """

    policy: str
    engine: str
    hand: str
    object: str
    universe: str
    scale: float | None
    validation: bool
    rules: Rules
    seed: int
    wires: bool
    commit: str
    eyes: str = "tags"
    errors: str = ""
    unstick: float = UNSTICK


class Content(msgspec.Struct, forbid_unknown_fields=True):
    """What the file holds: the finished trials, and how long they took [s]."""

    conditions: Conditions
    trials: list[Trial]
    wall_seconds: float


class KeptTrials:
    """The finished trials of one evaluation, in a file that is written after each.

    Args:
        path: the file; it is made with the first trial.
        setup: of the evaluation.
        commit: of the program.

    Attributes:
        trials: the finished trials, in order.
        wall_seconds: how long they took [s].

    Raises:
        EvaluationError: the file cannot be read, or its trials ran under other conditions.
    """

    def __init__(self, path: Path, setup: Setup, commit: str) -> None:
        self._path, self._conditions = path, conditions(setup, commit)
        self.trials: list[Trial] = []
        self.wall_seconds = 0.0
        if not path.exists():
            return
        content = read_kept(path)
        for name in Conditions.__struct_fields__:
            before, now = getattr(content.conditions, name), getattr(self._conditions, name)
            if before != now:
                raise EvaluationError(
                    f"eval: --keep {path}: its trials ran with {name} {before}, this evaluation "
                    f"has {now}; name another file"
                )
        self.trials, self.wall_seconds = content.trials, content.wall_seconds

    def add(self, trial: Trial, wall_seconds: float) -> None:
        """Writes one more trial.

        Args:
            trial: the next one.
            wall_seconds: how long this run has taken since the last one [s].

        Raises:
            WriteError: the file cannot be written; what was in it stays.
        """
        self.trials.append(trial)
        self.wall_seconds += wall_seconds
        content = Content(self._conditions, self.trials, self.wall_seconds)
        write_whole(self._path, msgspec.json.encode(content))


def read_kept(path: Path) -> Content:
    """Reads a file of finished trials.

    Raises:
        EvaluationError: it cannot be read, or is no such file.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Content)
    except (OSError, ValueError, msgspec.ValidationError) as error:
        raise EvaluationError(
            f"eval: --keep {path}: {error}; it is no file of kept trials, name another"
        ) from error


def conditions(setup: Setup, commit: str) -> Conditions:
    """The conditions of an evaluation."""
    return Conditions(
        policy=setup.sha256,
        engine=setup.engine,
        hand=setup.hand,
        object=setup.object,
        universe=_digest(setup.universe),
        scale=setup.scale,
        validation=setup.validation,
        rules=setup.rules,
        seed=setup.seed,
        wires=setup.wires,
        commit=commit,
        eyes=setup.eyes,
        errors=_digest(setup.errors),
        unstick=setup.unstick,
    )


def _digest(path: Path | None) -> str:
    """SHA-256 of a file; empty without one."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path else ""
