"""The watchdog is fed while all threads come round, however many child processes have ended."""

import socket
import sys
import time
from pathlib import Path

import pytest

from inhand.controller.ipc.request_queue import RequestQueue
from inhand.controller.runtime.supervisor import Supervisor
from inhand.controller.runtime.watchdog import Heartbeat, Watchdog
from inhand.controller.system.child_process import Child, stop_all
from inhand.controller.system.notify import notify
from tests.controller.bench_hand import Bench

WATCHDOG = 2.0
"""`WatchdogSec` of the service [s]."""
PATIENCE = 120.0
"""Longest time that a busy machine needs [s]."""


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> socket.socket:
    """The notification socket of the service manager."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listening.bind(str(tmp_path / "notify"))
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", str(int(1e6 * WATCHDOG)))
    return listening


def fed(manager: socket.socket, patience: float = WATCHDOG) -> bool:
    """Whether the watchdog is fed within `patience` [s]."""
    manager.settimeout(patience)
    try:
        return manager.recv(100) == b"WATCHDOG=1"
    except TimeoutError:
        return False


@pytest.mark.alone
def test_children_that_end_again_and_again_do_not_starve_it(manager: socket.socket) -> None:
    bench, request_queue = Bench(), RequestQueue().open()
    supervisor = Supervisor(print, simulated=True)
    for number in range(4):
        supervisor.watch(Child(f"camera {number}", ["-c", ""]).start())
    bench.run(0.1)
    request_queue.snapshot = bench.controller.snapshot()
    supervisor.start(request_queue, dry_run=False)
    # Two rounds of starting all four again take longer than this.
    began = time.monotonic()
    while time.monotonic() < began + 2 * WATCHDOG:
        assert fed(manager)
    supervisor.stop()
    request_queue.close()


def test_a_thread_that_is_stuck_stops_it(
    manager: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    # Later than now: a busy machine may keep this test from setting it for any time.
    beats = {"server": time.monotonic() + 3600}
    heartbeats = {"the server": Heartbeat(lambda: beats["server"], 1.0)}
    watchdog = Watchdog(time.monotonic, heartbeats)
    watchdog.start()
    assert fed(manager, PATIENCE)
    beats["server"] = time.monotonic() - 10
    deadline = time.monotonic() + PATIENCE
    while not watchdog.stuck:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    while fed(manager):
        pass
    assert watchdog.stuck == "the server"
    assert caplog.text.count("the watchdog is not fed: the server does not come round") == 1
    beats["server"] = time.monotonic() + 3600
    assert fed(manager, PATIENCE) and not watchdog.stuck
    watchdog.stop()


def test_processes_are_stopped_at_the_same_time() -> None:
    stubborn = (
        "import signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)\n"
    )
    children = [Child(f"{n}", ["-c", stubborn], stdout=-1).start() for n in range(4)]
    for child in children:
        assert child.process.stdout is not None and child.process.stdout.readline()
    began = time.monotonic()
    stop_all(children, patience=2.0)
    # One after another they would take four times as long.
    assert time.monotonic() - began < 4 * 2.0
    assert all(child.process.returncode == -9 for child in children)


@pytest.mark.parametrize(
    "path", ["nonsense", "/no/such/socket", "@no-such-socket", "/" + "x" * 200]
)
def test_a_manager_that_cannot_be_reached_is_reported_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", path)
    assert not notify("READY=1") and not notify("WATCHDOG=1")
    assert caplog.text.count("the service manager cannot be reached") == 1


def test_a_manager_that_does_not_read_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf:
        deaf.bind(str(tmp_path / "deaf"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "deaf"))
        sent = 0
        while notify("WATCHDOG=1"):
            sent += 1
        assert sent and sys.platform == "linux"
