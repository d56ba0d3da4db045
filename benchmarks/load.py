"""Load for the tick: clients with status requests, a subscriber, and busy processors."""

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
"""Rate of status requests [Hz]."""

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
    """Gives this thread, and threads that it starts, real-time priority, if the system allows it.

    So the measured time is that of the daemon and not that of the client's own scheduling.
    """
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(_PRIORITY))
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


class Clients(threading.Thread):
    """Requests status at a fixed rate and subscribes to state and events, until the block ends.

    Attributes:
        round_trips: the last times from request to reply [s]; their number is bounded, so that
            this load does not grow in memory.
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
        """A percentile of the round trips [s]."""
        return percentile(self.round_trips, share)


def percentile(values: Iterable[float], share: float) -> float:
    """The value that `share` of the values do not exceed."""
    return float(np.quantile(np.fromiter(values, dtype=np.float64), share, method="higher"))
