"""`inhandd --sim` run from another program, and the simulated world's own socket."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import msgspec
import zmq

from inhand.controller.errors import ClientError, StartError
from inhand.controller.system.clock import Clock, MonotonicClock
from inhand.perception.parent import end_process
from inhand.perception.simulated_time import SimulatedClock

START_TIMEOUT = 180.0
"""How long daemon and simulated world may take to come up [s]."""

_STOP_TIMEOUT = 10.0
_ANSWER_TIMEOUT = 30.0


@contextmanager
def simulated_daemon(directory: Path, *arguments: str) -> Iterator[None]:
    """Runs the daemon on a simulated hand, from ready to ended.

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
            [*command, *arguments], stdout=file, stderr=file, stdin=subprocess.DEVNULL
        )
    try:
        _wait_until_ready(process, log)
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
        if process.poll() is not None:
            said = log.read_text(errors="replace").strip().splitlines() or ["nothing"]
            raise StartError(
                f"inhandd ended while starting, and said: {said[-1].removeprefix('error: ')}"
            )
        if time.monotonic() > deadline:
            raise StartError(f"inhandd was not ready after {START_TIMEOUT:.0f} s")
        time.sleep(0.05)


class WorldClient:
    """Client of the simulated world: places the object, and reads its true state.

    It connects at the first request. Use it in a `with` block, or call `close`.

    Args:
        address: that the daemon's status gives as `world`.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._socket: zmq.Socket[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the socket."""
        if self._socket is not None:
            self._socket.close(linger=0)
            self._socket = None

    def ask(self, type: str, **members: object) -> dict[str, Any]:
        """Sends a request (`place`, `reset` or `state`) and returns the reply.

        Raises:
            ClientError: the world does not answer, or refuses.
        """
        if self._socket is None:
            self._socket = zmq.Context.instance().socket(zmq.REQ)
            self._socket.connect(self._address)
        self._socket.send(msgspec.json.encode({"type": type, **members}))
        if not self._socket.poll(int(1000 * _ANSWER_TIMEOUT)):
            raise ClientError(f"the simulated world at {self._address} does not answer")
        reply: dict[str, Any] = msgspec.json.decode(self._socket.recv())
        if not reply["ok"]:
            raise ClientError(f"the simulated world refused: {reply['error']}")
        return reply
