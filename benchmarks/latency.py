"""Lateness of the tick beside cyclictest, and time from requests to the wire."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from benchmarks.floods import FLOODS, flooding
from benchmarks.load import Clients, at_once, busy_processors, percentile
from benchmarks.lone_daemon import MODES, PERIOD, PRIORITY, WRITTEN
from benchmarks.measure import Row, row
from inhand.controller.client.sync import Client
from inhand.errors import InhandError
from inhand.hardware.model.hand import load_hand

SECONDS = 15
"""Duration of each measurement of lateness [s]; all four are within two minutes."""

REQUESTS = 50
"""Number of timed requests of each kind."""

FLOODED = 20
"""Number of emergency stops during each flood."""

HAND = load_hand("dactyl24")

TARGETS = 1000
"""Number of joint targets of the stream."""

POLICY_PERIOD = 0.05

_SETTLED = 0.2


@dataclass(frozen=True)
class Writes:
    """Writes to the servos.

    Attributes:
        t: times [s], (n,).
        changed: whether the targets differ from the write before, (n,).
        mode: index into `MODES`, (n,).
        torque: whether torque was on, (n,).
    """

    t: NDArray[np.float64]
    changed: NDArray[np.bool_]
    mode: NDArray[np.uint8]
    torque: NDArray[np.bool_]


class Running:
    """A lone daemon as a process.

    Attributes:
        directory: of its sockets.
        process: the process, once it is started.
        result: its tick statistics, which it prints at its end.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.result: dict[str, Any] = {}

    def start(self) -> None:
        """Starts the process, and waits until it is ready."""
        self._writes, tell = os.pipe2(os.O_NONBLOCK)
        command = [
            sys.executable,
            "-m",
            "benchmarks.lone_daemon",
            "--directory",
            str(self.directory),
        ]
        self.process = subprocess.Popen(
            [*command, "--tell", str(tell)], stdout=subprocess.PIPE, pass_fds=[tell]
        )
        os.close(tell)
        assert self.process.stdout is not None
        if self.process.stdout.readline() != b"ready\n":
            raise RuntimeError("the lone daemon did not start; its messages stand above")

    def writes(self) -> Writes:
        """The writes since the last call."""
        data = b""
        with suppress(BlockingIOError):
            while piece := os.read(self._writes, 1 << 16):
                data += piece
        rows = list(WRITTEN.iter_unpack(data[: len(data) // WRITTEN.size * WRITTEN.size]))
        columns = zip(*rows, strict=True) if rows else ((), (), (), ())
        t, changed, mode, torque = (np.array(column) for column in columns)
        return Writes(t, changed.astype(bool), mode.astype(np.uint8), torque.astype(bool))

    def end(self) -> None:
        """Ends the process and reads its tick statistics."""
        self.process.send_signal(signal.SIGTERM)
        said, _ = self.process.communicate(timeout=60)
        self.result = msgspec.json.decode(said)
        os.close(self._writes)


@contextmanager
def running() -> Iterator[Running]:
    """Runs a lone daemon, from ready until the end of the block."""
    with tempfile.TemporaryDirectory() as name:
        daemon = Running(Path(name))
        daemon.start()
        try:
            yield daemon
        finally:
            daemon.end()


def cyclictest(seconds: float) -> float:
    """99.9 % quantile of the lateness of cyclictest's wake-ups [s]."""
    command = ["cyclictest", "-q", "-m", "-p", str(PRIORITY), "-i", str(round(1e6 * PERIOD))]
    said = subprocess.run(
        [*command, "-D", str(round(seconds)), "-h", "100000"],
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    bins = [(int(a), int(b)) for a, b in re.findall(r"^(\d{6}) (\d+)$", said, re.MULTILINE)]
    late = [microseconds for microseconds, count in bins for _ in range(count)]
    return 1e-6 * percentile([float(value) for value in late], 0.999)


def measure() -> list[Row]:
    """Lateness idle and under load, and the time from requests to the wire."""
    if shutil.which("cyclictest") is None:
        raise SystemExit("error: bench latency: install cyclictest (Debian package rt-tests)")
    rows = []
    for name in ("idle", "under load"):
        with ExitStack() as load:
            if name == "under load":
                load.enter_context(busy_processors())
            peer = cyclictest(SECONDS)
            with running() as daemon:
                with Client(daemon.directory) as client:
                    start(client)
                    if name == "under load":
                        client.call("record", action="start")
                clients = Clients(daemon.directory)
                with clients if name == "under load" else ExitStack():
                    time.sleep(SECONDS)
        ticks = daemon.result["ticks"]
        late = ticks["lateness"]["p99.9"]
        shown = (f"tick's lateness p99.9, {name}", 1e6 * late, "µs", "cyclictest", 1e6 * peer, 2.0)
        rows.append(row(*shown))
        if name == "under load":
            trip = clients.percentile(0.99)
            shown = ("status round trip p99, under load", 1e3 * trip, "ms", "5 ms", 5.0, 1.0)
            rows.append(row(*shown))
    return rows + requests() + stream() + floods()


def start(client: Client) -> None:
    """Brings the daemon from off to running, with endless random goals."""
    ready(client)
    client.call("random_goals", count=0)


def ready(client: Client) -> None:
    """Brings the daemon from any mode to ready."""
    deadline = time.monotonic() + 30
    while (mode := client.status()["mode"]) == "starting":
        time.sleep(0.05)
    if mode in ("estop", "fault"):
        mode = client.call("clear")["mode"]
    if mode == "off":
        while not client.status()["object"]["in_hand"] and time.monotonic() < deadline:
            time.sleep(0.05)
        mode = client.call("enable")["mode"]
    client.call("cancel" if mode == "running" else "arm")


def requests() -> list[Row]:
    """Times from a request to the first write that shows its effect, at random instants."""
    rng = np.random.default_rng(1)
    goals, holds, stops = [], [], []
    with running() as daemon, at_once(), Client(daemon.directory) as client:
        for _ in range(REQUESTS):
            ready(client)
            _settle(daemon)
            time.sleep(rng.uniform(0.0, 2 * POLICY_PERIOD))
            daemon.writes()
            began = time.monotonic()
            client.call("goal", rotation=[0.0, 0.0, 1.5])
            goals.append(_first(daemon, began, lambda w: w.changed))
            holds.append(_ask(daemon, client, "hold", rng))
            ready(client)
            client.call("goal", rotation=[0.0, 0.0, 1.5])
            stops.append(_ask(daemon, client, "estop", rng))
    bars = (
        ("goal to the first changed target p99", goals, POLICY_PERIOD + 2 * PERIOD),
        ("hold to the first target of holding p99", holds, 2 * PERIOD),
        ("estop to torque off p99", stops, 2 * PERIOD),
    )
    return [
        row(name, 1e3 * percentile(times, 0.99), "ms", f"{1e3 * bar:g} ms", 1e3 * bar, 1.0)
        for name, times, bar in bars
    ]


def stream() -> list[Row]:
    """A client that sends joint targets 100 times a second, each after the reply before."""
    trips, refused = [], 0
    with running() as daemon, at_once(), Client(daemon.directory) as client:
        ready(client)
        client.call("disarm")
        client.call("manual")
        middle = np.clip(client.status()["targets"], HAND.lower + 0.03, HAND.upper - 0.03)
        began = time.monotonic()
        for number in range(TARGETS):
            time.sleep(max(0.0, began + number * PERIOD - time.monotonic()))
            swing = 0.02 * np.sin(2 * np.pi * number * PERIOD)
            sent = time.monotonic()
            try:
                client.joints(middle + swing, 5.0, wait=False)
            except InhandError:
                refused += 1
            trips.append(time.monotonic() - sent)
    trip = percentile(trips, 0.99)
    return [
        row("joint target to its reply p99, 100 Hz", 1e3 * trip, "ms", "20 ms", 20.0, 1.0),
        row("joint targets that were lost", 1e2 * refused / TARGETS, "%", "0.1 %", 0.1, 1.0),
    ]


def floods() -> list[Row]:
    """Status and emergency stop of one client beside each flood of another program."""
    rng = np.random.default_rng(2)
    rows = []
    for kind in FLOODS:
        trips, stops = [], []
        with running() as daemon, at_once(), Client(daemon.directory) as client:
            ready(client)
            with flooding(kind, daemon.directory / "command.sock"):
                time.sleep(_SETTLED)
                for _ in range(FLOODED):
                    for _ in range(10):
                        time.sleep(rng.uniform(0.0, PERIOD))
                        began = time.monotonic()
                        client.status()
                        trips.append(time.monotonic() - began)
                    stops.append(_ask(daemon, client, "estop", rng))
                    client.call("clear")
                    client.call("enable")
        trip, stop = percentile(trips, 0.99), percentile(stops, 0.99)
        rows += [
            row(f"status round trip p99, {kind}", 1e3 * trip, "ms", "5 ms", 5.0, 1.0),
            row(f"estop to torque off p99, {kind}", 1e3 * stop, "ms", "20 ms", 20.0, 1.0),
        ]
    return rows


def _ask(daemon: Running, client: Client, request: str, rng: np.random.Generator) -> float:
    time.sleep(rng.uniform(0.05, 0.05 + 2 * POLICY_PERIOD))
    daemon.writes()
    began = time.monotonic()
    client.call(request)
    if request == "estop":
        return _first(daemon, began, lambda w: ~w.torque)
    return _first(daemon, began, lambda w: MODES_ARRAY[w.mode] == "holding")


MODES_ARRAY = np.array([mode.value for mode in MODES])


def _first(daemon: Running, began: float, shows: Any) -> float:
    """Time from `began` until the first write for which `shows` is true [s]."""
    deadline = began + 10.0
    while time.monotonic() < deadline:
        writes = daemon.writes()
        found = writes.t[(writes.t >= began) & shows(writes)] if len(writes.t) else writes.t
        if len(found):
            return float(found[0] - began)
        time.sleep(0.002)
    raise RuntimeError("a request never reached the wire")


def _settle(daemon: Running) -> None:
    """Waits until the targets have not changed for `_SETTLED`."""
    still_since = time.monotonic()
    while time.monotonic() - still_since < _SETTLED:
        time.sleep(0.02)
        writes = daemon.writes()
        if writes.changed.any():
            still_since = time.monotonic()
