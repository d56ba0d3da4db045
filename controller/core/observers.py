"""Calls what only observes the daemon, so that its failures are counted and never passed on."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import ParamSpec, TypeVar

from inhand.controller.core.records import Event

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

_LONGEST = 200


@dataclass(frozen=True)
class Failures:
    """How an observer failed.

    Attributes:
        count: how often.
        last: the latest exception, on one line.
    """

    count: int
    last: str


class Observers:
    """The one place where observers are called: snapshot, tape, statistics, telemetry.

    Attributes:
        failures: of each observer that failed, by its name.
    """

    def __init__(self, tell: Callable[[Event], None]) -> None:
        """Takes what is told of the first failure of each observer."""
        self.failures: dict[str, Failures] = {}
        self._tell = tell

    def call(
        self,
        name: str,
        observe: Callable[Arguments, Result],
        *arguments: Arguments.args,
        **keywords: Arguments.kwargs,
    ) -> Result | None:
        """The result of a call; None if it raised.

        Args:
            name: of the observer.
            observe: what is called.
            arguments: of the call.
            keywords: of the call.
        """
        try:
            return observe(*arguments, **keywords)
        except Exception as error:
            self._note(name, error)
            return None

    def said(self) -> dict[str, object]:
        """The failures as members for JSON."""
        return {name: asdict(failures) for name, failures in self.failures.copy().items()}

    def _note(self, name: str, error: Exception) -> None:
        text = _described(error)
        before = self.failures.get(name)
        # Put as a whole: another thread may read it meanwhile.
        self.failures[name] = Failures(1 if before is None else before.count + 1, text)
        if before is None:
            data: dict[str, object] = {"observer": name, "problem": text}
            self._tell(Event(time.monotonic(), "observer_failed", data))


def _described(error: Exception) -> str:
    """An exception on one line; one whose text cannot be had is named only."""
    try:
        return f"{type(error).__name__}: {' '.join(str(error).split())}"[:_LONGEST]
    except Exception:
        return type(error).__name__
