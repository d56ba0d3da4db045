"""The far end of the wires as a process: what a test does meanwhile never delays a reply."""

import multiprocessing
import os
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from inhand.hardware.model.hand import load_hand
from inhand.perception.tags import Image
from tests.faults.wires import CameraLines, ServoLine

PRIORITY = 20
"""SCHED_FIFO priority of the far end, where the system allows it: below the daemon's tick."""


class FarEnd:
    """Servos and cameras in a process of their own.

    Attributes:
        servos: a `ServoLine`.
        cameras: a `CameraLines`.
    """

    def __init__(self, directory: Path, hand: str, pictures: dict[str, Sequence[Image]]) -> None:
        context = multiprocessing.get_context("spawn")
        self._near, far = context.Pipe()
        self._process = context.Process(target=_serve, args=(far, directory, hand, pictures))
        self._process.start()
        far.close()
        self.servos, self.cameras = Remote(self._near, "servos"), Remote(self._near, "cameras")

    def close(self) -> None:
        """Ends the process."""
        self._near.send(None)
        self._process.join(10.0)
        self._process.kill()
        self._near.close()


class Remote:
    """An object in the other process: its attributes are read, set and called as if here."""

    def __init__(self, line: Connection, target: str) -> None:
        vars(self).update(_line=line, _target=target)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        kind, value = self._ask("get", name)
        if kind == "value":
            return value

        def call(*arguments: object) -> object:
            return self._ask("call", name, *arguments)[1]

        return call

    def __setattr__(self, name: str, value: object) -> None:
        self._ask("set", name, value)

    def _ask(self, *question: object) -> tuple[str, Any]:
        self._line.send((self._target, *question))
        assert self._line.poll(120.0), "the far end does not answer"
        kind, value = self._line.recv()
        assert kind != "error", value
        return kind, value


def _serve(
    line: Connection, directory: Path, hand: str, pictures: dict[str, Sequence[Image]]
) -> None:
    with suppress(OSError):
        # Threads that are started from here on inherit it.
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    targets = {
        "servos": ServoLine(directory / "port", load_hand(hand)),
        "cameras": CameraLines(directory, pictures),
    }
    while (question := line.recv()) is not None:
        line.send(_answer(targets, *question))
    for target in targets.values():
        target.close()


def _answer(targets: dict[str, Any], target: str, what: str, name: str, *values: Any) -> Any:
    try:
        if what == "set":
            setattr(targets[target], name, *values)
            return "value", None
        found = getattr(targets[target], name)
        if what == "call":
            return "value", found(*values)
    except Exception as error:
        return "error", repr(error)
    return ("method", None) if callable(found) else ("value", found)
