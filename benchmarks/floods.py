"""Status round trip and emergency stop while other programs flood the sockets.

Run as `python -m benchmarks.floods KIND SOCKET` to flood until killed.
"""

import os
import resource
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from inhand.controller.ipc.listener import CONNECTIONS
from inhand.controller.ipc.zmtp import GREETING, encode, ready

CLIENTS = 20
"""Number of connections that a flood uses at a time."""

_GOALS = [{"rotation": [0.0, 0.0, 0.1]}] * 1000


def requests(path: str) -> None:
    """Requests that answer at once, as fast as the socket takes them."""
    _send(path, {"type": "events", "since": 2**31})


def goals(path: str) -> None:
    """Requests of 1,000 goals each."""
    _send(path, {"type": "goals", "goals": _GOALS})


def record(path: str) -> None:
    """Requests to save a recording."""
    _send(path, {"type": "record", "action": "save"})


def silent(path: str) -> None:
    """Connections that say nothing."""
    kept: list[socket.socket] = []
    while True:
        with suppress(OSError):
            kept.append(_connect(path))
        if len(kept) > 1000:
            kept.pop(0).close()


def unread(path: str) -> None:
    """Clients that ask for all events and read no reply."""
    ask = encode([msgspec.json.encode({"v": 1, "id": 1, "type": "events"})])
    while True:
        lines = [_connect(path) for _ in range(CLIENTS)]
        for line in lines:
            _write(line, GREETING + ready(b"DEALER") + 200 * ask)
        time.sleep(0.1)
        for line in lines:
            line.close()


def endless(path: str) -> None:
    """Messages of frames without end."""
    frame = b"\x03" + (60_000).to_bytes(8, "big") + bytes(60_000)
    while True:
        with _connect(path) as line:
            line.setblocking(True)
            _write(line, GREETING + ready(b"DEALER") + 40 * frame)


def observers(path: str) -> None:
    """As many readers of state and events as the daemon accepts."""
    poll, lines = select.poll(), {}
    for _ in range(CONNECTIONS):
        line = _connect(str(Path(path).with_name("state.sock")))
        _write(line, GREETING + ready(b"SUB") + encode([b"\x01"]))
        lines[line.fileno()] = line
        poll.register(line, select.POLLIN)
    while True:
        for descriptor, _ in poll.poll():
            with suppress(BlockingIOError):
                lines[descriptor].recv(1 << 16)


FLOODS: dict[str, Callable[[str], None]] = {
    "requests": requests,
    "requests of 1,000 goals": goals,
    "requests to record": record,
    "silent connections": silent,
    "unread replies": unread,
    "endless messages": endless,
    f"{CONNECTIONS} observers": observers,
}


@contextmanager
def flooding(kind: str, path: Path) -> Iterator[None]:
    """Floods a command socket from another process until the block ends."""
    command = [sys.executable, "-m", "benchmarks.floods", kind, str(path)]
    process = subprocess.Popen(command)
    try:
        yield
        if process.poll() is not None:
            raise RuntimeError(f"the flood of {kind} ended by itself; its messages stand above")
    finally:
        process.kill()
        process.wait()


def _connect(path: str) -> socket.socket:
    line = socket.socket(socket.AF_UNIX)
    line.connect(path)
    line.setblocking(False)
    return line


def _write(line: socket.socket, data: bytes) -> None:
    """Sends as much as is taken; the daemon may have cut the connection."""
    with suppress(OSError):
        line.sendall(data)


def _send(path: str, members: dict[str, object]) -> None:
    """Sends one request again and again over all connections, and reads the replies."""
    message = encode([msgspec.json.encode({"v": 1, "id": 1, **members})])
    lines: list[tuple[socket.socket, memoryview]] = []
    while True:
        while len(lines) < CLIENTS:
            lines.append((_connect(path), memoryview(GREETING + ready(b"DEALER"))))
        kept = []
        for line, left in lines:
            try:
                with suppress(BlockingIOError):
                    line.recv(1 << 16)
                # A message that was cut is gone on with, so that the stream stays valid.
                left = left[line.send(left) :] or memoryview(message)
            except BlockingIOError:
                pass
            except OSError:
                line.close()
                continue
            kept.append((line, left))
        lines = kept


if __name__ == "__main__":
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    # Not the priority of the program that measures: a real-time process that never sleeps makes the
    # kernel stop all real-time threads of its processor for 50 ms of each second.
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    os.nice(5)
    FLOODS[sys.argv[1]](sys.argv[2])
