"""Ends a training run in order: at a signal, or when the program that started it has ended."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from inhand.perception.parent import VARIABLE, Parent


@contextmanager
def stop_requested() -> Iterator[Callable[[], bool]]:
    """Catches SIGINT and SIGTERM; gives a function that says whether to stop.

    It also says so once the parent has ended, if that is a program that waits for this one.
    """
    requested = False
    parent = Parent() if os.environ.get(VARIABLE) == str(os.getppid()) else None

    def note(*_: object) -> None:
        nonlocal requested
        requested = True

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: requested or (parent is not None and not parent.alive)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
