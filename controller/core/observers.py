"""Calls functions that only observe the daemon; their exceptions are counted, not raised."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import ParamSpec, TypeVar

from inhand.controller.core.records import Event

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

_MAX_LENGTH = 200


@dataclass(frozen=True)
class Failures:
    """Failures of one observer.

    Attributes:
        count: number of failures.
        last: the latest exception, on one line.
    """

    count: int
    last: str


class Observers:
    """Calls all observers: snapshot, tape, statistics, telemetry.

    Attributes:
        failures: failures of each observer that failed, by its name.
    """

    def __init__(self, report: Callable[[Event], None]) -> None:
        """Takes a function that receives an event at the first failure of each observer."""
        self.failures: dict[str, Failures] = {}
        self._report = report

    def call(
        self,
        name: str,
        observe: Callable[Arguments, Result],
        *arguments: Arguments.args,
        **keywords: Arguments.kwargs,
    ) -> Result | None:
        """Calls an observer and returns its result; None if it raised an exception.

        Args:
            name: name of the observer.
            observe: the function to call.
            arguments: positional arguments of the call.
            keywords: keyword arguments of the call.
        """
        try:
            return observe(*arguments, **keywords)
        except Exception as error:
            self._note(name, error)
            return None

    def summary(self) -> dict[str, object]:
        """The failures as JSON members."""
        return {name: asdict(failures) for name, failures in self.failures.copy().items()}

    def _note(self, name: str, error: Exception) -> None:
        text = _described(error)
        before = self.failures.get(name)
        # Replaced as a whole, because another thread may read it at the same time.
        self.failures[name] = Failures(1 if before is None else before.count + 1, text)
        if before is None:
            data: dict[str, object] = {"observer": name, "problem": text}
            self._report(Event(time.monotonic(), "observer_failed", data))


def _described(error: Exception) -> str:
    """An exception as one line of text; only its type if its message cannot be formatted."""
    try:
        return f"{type(error).__name__}: {' '.join(str(error).split())}"[:_MAX_LENGTH]
    except Exception:
        return type(error).__name__
