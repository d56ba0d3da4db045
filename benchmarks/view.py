"""The page: lateness of the tick and processor load with and without a viewer, and loading times.

A reader of the page's socket replaces the browser; the browser's own drawing is not measured.
"""

import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import numpy as np
import viser
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from benchmarks.lone_daemon import drive, lone_daemon
from benchmarks.measure import Row, row
from inhand.controller.client.simulated import simulated_daemon
from inhand.controller.client.sync import Client
from inhand.controller.system.clock import VirtualClock
from inhand.controller.system.realtime import lower_priority
from inhand.controller.view.live import LiveFeed
from inhand.controller.view.page import Page
from inhand.controller.view.recorded import RecordedFeed

ROUNDS = 4
WINDOW = 6.0
"""Duration with a viewer, and without one, in each round [s]."""

LATENESS_LIMIT = 1.1
"""Largest ratio of the lateness with a viewer to that without one."""

_FULL = 10_000
"""Least size of the message with the scene [bytes]."""


class _Watched(Page):
    """A page that is always watched, and so draws at its full rate."""

    watched = True


class Reader:
    """Receives everything that the page sends.

    Attributes:
        seconds: time until the scene arrived [s]; infinite before.
    """

    def __init__(self) -> None:
        self.seconds = np.inf

    def open(self, address: str) -> Self:
        """Connects to the page and starts to receive."""
        began = time.monotonic()
        self._socket = connect(
            address.replace("http", "ws"),
            subprotocols=[Subprotocol(f"viser-v{viser.__version__}")],
            max_size=None,
        )
        self._thread = threading.Thread(target=self._read, args=(began,))
        self._thread.start()
        return self

    def close(self) -> None:
        self._socket.close()
        self._thread.join()

    def _read(self, began: float) -> None:
        try:
            for message in self._socket:
                if len(message) > _FULL and not np.isfinite(self.seconds):
                    self.seconds = time.monotonic() - began
        except ConnectionClosed:
            return


def measure() -> list[Row]:
    """Each figure beside its peer or limit."""
    lateness: dict[bool, list[float]] = {True: [], False: []}
    seconds: list[float] = []
    cores: list[float] = []
    with TemporaryDirectory(prefix="inhand-") as name:
        directory = Path(name)
        config = directory / "inhandd.toml"
        config.write_text("[safety]\njoint_ticks = 20\n")
        with (
            simulated_daemon(directory, "--real-time", "--config", str(config)),
            _page(directory) as page,
            Client(directory, timeout=30.0) as client,
        ):
            for _ in range(ROUNDS):
                for looked_at in (True, False):
                    reader = Reader().open(page.address) if looked_at else None
                    began, used = time.monotonic(), sum(os.times()[:2])
                    while (spent := time.monotonic() - began) < WINDOW:
                        time.sleep(1.0)
                        lateness[looked_at].append(client.status()["tick"]["recent_lateness"])
                    if reader is not None:
                        cores.append((sum(os.times()[:2]) - used) / spent)
                        reader.close()
                        seconds.append(reader.seconds)
    ours, peer = (1e3 * float(np.median(lateness[looked_at])) for looked_at in (True, False))
    name = "largest lateness of 100 ticks, page looked at"
    low, high = ratio_interval(lateness[True], lateness[False])
    return [
        row(name, ours, "ms", "not looked at", peer, LATENESS_LIMIT),
        row("its ratio, 95 % interval from", low, "times", "limit", LATENESS_LIMIT),
        row("its ratio, 95 % interval to", high, "times", "limit", LATENESS_LIMIT, 1.0),
        row("page and its reader, pictures on", max(cores), "cores", "limit", 0.5, 1.0),
        row("scene sent to who opens the page", max(seconds), "s", "limit", 2.0, 1.0),
        _opening(),
    ]


def ratio_interval(ours: Sequence[float], peer: Sequence[float]) -> tuple[float, float]:
    """95 % confidence interval of the ratio of two medians, by bootstrap."""
    rng = np.random.default_rng(1)
    drawn = [
        np.median(rng.choice(np.array(values), (4000, len(values))), axis=1)
        for values in (ours, peer)
    ]
    low, high = np.quantile(drawn[0] / drawn[1], (0.025, 0.975))
    return float(low), float(high)


def _opening() -> Row:
    """Opening a recording of the largest size: after about seven minutes the next file starts."""
    with TemporaryDirectory(prefix="inhand-") as name:
        directory = Path(name)
        with lone_daemon(directory, VirtualClock(100.0)) as lone:
            ask = threading.Thread(target=_record, args=(directory,))
            ask.start()
            whole: list[Path] = []
            for number, woken in enumerate(lone.loop.ticker):
                drive(lone)
                lone.loop._tick(woken)
                if number % 1000 == 0:
                    whole = list(directory.glob("recordings/*.mcap"))
                if whole:
                    break
            ask.join()
        began = time.monotonic()
        feed = RecordedFeed(whole[0])
        shown = feed.moment()
        spent = time.monotonic() - began
        assert shown is not None
        name = f"recording of {whole[0].stat().st_size / 1e6:.0f} MB opened and shown"
    return row(name, spent, "s", "limit", 5.0, 1.0)


def _record(directory: Path) -> None:
    with Client(directory, timeout=60.0) as client:
        client.call("record", action="start")


@contextmanager
def _page(directory: Path) -> Iterator[Page]:
    """Runs the page in this process, from the first scene until the end of the block."""
    ended, before = threading.Event(), os.getpriority(os.PRIO_PROCESS, 0)
    lower_priority()
    feed = LiveFeed(directory, None)
    page = _Watched(feed, host="127.0.0.1", port=8180)
    page.open()
    feed.start()
    thread = threading.Thread(target=page.run, args=(ended.is_set,))
    thread.start()
    try:
        while feed.moment() is None:
            time.sleep(0.05)
        yield page
    finally:
        ended.set()
        thread.join()
        page.close()
        feed.close()
        with suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, 0, before)
