"""What a tick has to bear: clients that ask, a viewer, and processors that are busy."""

import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import numpy as np

from inhand.controller.client.sync import Client

STATUS_RATE = 100.0
"""Requests for status a second."""

_PRIORITY = 40
_BUSY = "import os\nos.nice(19)\nwhile True: sum(range(10000))"


@contextmanager
def busy_processors() -> Iterator[None]:
    """Keeps every processor busy with work of the lowest priority."""
    with ExitStack() as exits:
        for _ in range(os.cpu_count() or 1):
            process = subprocess.Popen([sys.executable, "-c", _BUSY])
            exits.callback(process.wait)
            exits.callback(process.kill)
        yield


@contextmanager
def at_once() -> Iterator[None]:
    """Lets this thread, and threads that it starts, on at once, if the system allows it.

    What is measured is how soon the daemon answers, not how soon whoever asked is let on.
    """
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(_PRIORITY))
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


class Clients(threading.Thread):
    """Asks for status at a steady rate, and listens to state and events, until told to stop.

    Attributes:
        round_trips: times from request to reply [s], the last ones: what measures memory must not
            take any.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__(name="clients")
        self.round_trips: deque[float] = deque(maxlen=10_000)
        self._directory = directory
        self._over = threading.Event()

    def __enter__(self) -> "Clients":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()

    def run(self) -> None:
        with (
            at_once(),
            Client(self._directory) as viewer,
            Client(self._directory) as client,
        ):
            viewer.subscribe()
            deadline = time.monotonic()
            while not self._over.is_set():
                began = time.monotonic()
                client.status()
                self.round_trips.append(time.monotonic() - began)
                deadline = max(deadline + 1 / STATUS_RATE, time.monotonic() - 0.1)
                time.sleep(max(0.0, deadline - time.monotonic()))

    def percentile(self, share: float) -> float:
        """Of the round trips [s]."""
        return percentile(self.round_trips, share)


def percentile(values: Iterable[float], share: float) -> float:
    """The value that this share of the values does not exceed."""
    return float(np.quantile(np.fromiter(values, dtype=np.float64), share, method="higher"))
