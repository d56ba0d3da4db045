"""`inhandd --sim` run from another program."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from inhand.controller.client.sync import Client
from inhand.controller.errors import ClientError, StartError
from inhand.controller.system.clock import Clock, MonotonicClock
from inhand.perception.parent import end_process, environment
from inhand.perception.simulated_time import SimulatedClock

START_TIMEOUT = 180.0
"""How long daemon and simulated world may take to come up [s]."""

_STOP_TIMEOUT = 10.0


@contextmanager
def simulated_daemon(directory: Path, *arguments: str) -> Iterator[None]:
    """Runs the daemon on a simulated hand, from ready to ended.

    Its mode is not `starting` any more then. With `--hold` it is, as simulated time does not begin
    before this program has opened `hand_clock`.

    Args:
        directory: where its sockets and `inhandd.log` are made.
        arguments: more of them for `inhandd`.

    Raises:
        StartError: it did not come up; the message is its own.
    """
    command = [
        sys.executable,
        "-P",
        "-m",
        "inhand.controller.runtime.daemon",
        "--sim",
        "--directory",
        str(directory),
    ]
    log = directory / "inhandd.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*command, *arguments],
            stdout=file,
            stderr=file,
            stdin=subprocess.DEVNULL,
            # It also ends if this program is killed.
            env=environment(),
        )
    try:
        _wait_until_ready(process, log)
        if "--hold" not in arguments:
            _wait_until_started(process, directory, log)
        yield
    finally:
        end_process(process, _STOP_TIMEOUT)


@contextmanager
def hand_clock(directory: Path, *, real_time: bool = False) -> Iterator[Clock]:
    """The clock of a simulated hand; simulated time waits for this program from then on.

    Args:
        directory: of the daemon's sockets.
        real_time: whether the daemon was started with `--real-time`.

    Raises:
        ClientError: there is no simulated time.
    """
    if real_time:
        yield MonotonicClock()
        return
    try:
        clock = SimulatedClock.open(directory)
    except OSError as error:
        raise ClientError(f"no simulated time in {directory}: {error}") from error
    try:
        yield clock
    finally:
        clock.close()


@contextmanager
def view_of(directory: Path) -> Iterator[str]:
    """Runs the page of a daemon; gives the line that says where it is, or why it is not there.

    Args:
        directory: of the daemon's sockets; `view.log` is made there.
    """
    command = [sys.executable, "-P", "-m", "inhand.controller.cli.main", "view", "--command"]
    log = directory / "view.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*command, "--directory", str(directory)],
            stdout=file,
            stderr=file,
            stdin=subprocess.DEVNULL,
            env=environment(),
            # Ctrl-C is for the parent, which then ends the page.
            start_new_session=True,
        )
    try:
        yield _said(process, log)
    finally:
        end_process(process, _STOP_TIMEOUT)


def _said(process: "subprocess.Popen[bytes]", log: Path) -> str:
    """The last line that the page's process printed."""
    deadline = time.monotonic() + START_TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        lines = [x for x in log.read_text(errors="replace").splitlines() if x.startswith("view: ")]
        if lines:
            return lines[-1]
        time.sleep(0.05)
    said = log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
    return f"no view: {said[-1].removeprefix('error: ')}"


def _wait_until_ready(process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while b"inhandd ready" not in log.read_bytes():
        _check_start(process, log, deadline)
        time.sleep(0.05)


def _wait_until_started(process: "subprocess.Popen[bytes]", directory: Path, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    with Client(directory, timeout=START_TIMEOUT) as client:
        while client.status()["mode"] == "starting":
            _check_start(process, log, deadline)
            time.sleep(0.02)


def _check_start(process: "subprocess.Popen[bytes]", log: Path, deadline: float) -> None:
    if process.poll() is not None:
        said = log.read_text(errors="replace").strip().splitlines() or ["nothing"]
        raise StartError(
            f"inhandd ended while starting, and said: {said[-1].removeprefix('error: ')}"
        )
    if time.monotonic() > deadline:
        raise StartError(f"inhandd was not ready after {START_TIMEOUT:.0f} s")
