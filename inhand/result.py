"""Results for programs: with `--json`, standard output holds JSON and nothing else."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

import msgspec

_results: list[TextIO] = []
"""Where results go inside `results_only`; empty outside."""


def print_json(value: object) -> None:
    """Prints a result as one line of JSON; numbers that are not finite become null."""
    output = _results[-1] if _results else sys.stdout
    print(msgspec.json.encode(value).decode(), file=output, flush=True)


@contextmanager
def results_only() -> Iterator[None]:
    """Keeps standard output for `print_json`; all else that is printed goes to standard error.

    That includes what C code and child processes print, as the file descriptor is changed. Inside
    another such block it changes nothing.
    """
    if _results:
        yield
        return
    before = sys.stdout
    before.flush()
    kept = None
    with suppress(io.UnsupportedOperation):
        if before.fileno() == 1:
            kept = os.dup(1)
            os.dup2(2, 1)
    output = before if kept is None else os.fdopen(kept, "w")
    _results.append(output)
    sys.stdout = sys.stderr
    try:
        yield
    finally:
        _results.pop()
        sys.stdout = before
        if kept is not None:
            os.dup2(kept, 1)
            with suppress(BrokenPipeError):
                output.close()
