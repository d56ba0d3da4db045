"""A private system manager that the installed service runs under, in namespaces of its own."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
MANAGER = Path("/lib/systemd/systemd")
_NAMESPACES = ("--mount", "--pid", "--ipc", "--uts", "--net", "--cgroup")


def forbidden() -> str:
    """Why no such manager can be booted here; empty if it can."""
    if os.getuid() != 0:
        return "only root may make the namespaces"
    if _cgroup() is None:
        return "no second-generation control groups are mounted"
    tried = subprocess.run(
        ["unshare", *_NAMESPACES, "--fork", "true"], capture_output=True, text=True, check=False
    )
    return tried.stderr.strip() if tried.returncode else ""


class Machine:
    """A booted manager; what happens in it stays in it, and ends with it."""

    def __init__(self, layer: Path) -> None:
        """Boots.

        Args:
            layer: directory that is laid over the machine's root.
        """
        group = _cgroup()
        assert group is not None
        self._group = group / f"inhand-test-{os.getpid()}"
        self._group.mkdir()
        self._scratch = Path(tempfile.mkdtemp(prefix="inhand-machine-"))
        # The installed program's dependencies are the ones that these tests run with.
        dependencies = Path(np.__file__).parent.parent
        binds = [f"{HERE / 'units'}:opt/units", f"{HERE.parent.parent}:opt/source"]
        binds.append(f"{dependencies}:opt/dependencies")
        command = [str(HERE / "boot.sh"), "outside", str(self._group), str(self._scratch)]
        self._log = self._scratch.with_suffix(".log")
        with self._log.open("wb") as log:
            self._process = subprocess.Popen([*command, str(layer), *binds], stdout=log, stderr=log)
        try:
            self.wait(self._first_process)
            self.wait(lambda: self.call("systemctl", "is-system-running") == "running")
        except BaseException:
            self.close()
            raise

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Runs a command inside."""
        inside = self._inside(command)
        return subprocess.run(inside, capture_output=True, text=True, check=False, timeout=120)

    @contextmanager
    def started(self, *command: str) -> Iterator[subprocess.Popen[str]]:
        """A command inside; the block ends by closing its input and waiting for its end."""
        pipe = subprocess.PIPE
        with subprocess.Popen(self._inside(command), stdin=pipe, stdout=pipe, text=True) as process:
            yield process
            process.communicate()

    def _inside(self, command: tuple[str, ...]) -> list[str]:
        first = self._first_process()
        return ["nsenter", "-t", first, "-m", "-p", "-i", "-u", "-n", "-C", "--", *command]

    def call(self, *command: str) -> str:
        """What a command inside prints."""
        return self.run(*command).stdout.strip()

    def property(self, unit: str, name: str) -> str:
        """One of the manager's properties of a unit."""
        return self.call("systemctl", "show", "--value", f"--property={name}", unit)

    def journal(self, unit: str) -> str:
        """What the unit and the manager said about it."""
        return self.call("journalctl", "--no-pager", "--output=cat", f"--unit={unit}")

    def wait(self, what: Callable[[], Any], patience: float = 90.0) -> None:
        """Waits until something holds."""
        deadline = time.monotonic() + patience
        while not what():
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self.call("journalctl", "--no-pager", "-n", "50")
            time.sleep(0.1)

    def _first_process(self) -> str:
        """The manager, as seen from outside; empty before it was started."""
        return (
            Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().strip()
        )

    def close(self) -> None:
        """Ends everything inside, and leaves nothing behind."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        for group, _, _ in os.walk(self._group, topdown=False):
            _remove_group(Path(group))
        shutil.rmtree(self._scratch)
        self._log.unlink()


def _remove_group(group: Path) -> None:
    # Its last process may be a moment in dying.
    for _ in range(100):
        try:
            group.rmdir()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"control group {group} is still in use")


def _cgroup() -> Path | None:
    """Directory of this process's own control group, of the second generation."""
    own = [
        line[3:] for line in Path("/proc/self/cgroup").read_text().split("\n") if line[:3] == "0::"
    ]
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind, *_ = line.split()
        if kind == "cgroup2" and own:
            return Path(place) / own[0].lstrip("/")
    return None
