"""Keeps the machine from going to sleep while the hand has torque, where systemd-logind runs."""

import logging
import subprocess
from contextlib import suppress
from pathlib import Path

from inhand.perception.parent import environment

log = logging.getLogger(__name__)

LOCK = (
    "systemd-inhibit",
    "--what=sleep:handle-lid-switch",
    "--mode=block",
    "--who=inhandd",
    "--why=a robot hand has torque",
)
"""Holds a lock of logind for as long as the command after it runs."""

SEATS = Path("/run/systemd/seats")
"""Exists where logind runs (sd-login(3))."""

_END = 1.0


class SleepLock:
    """Held by a process of its own, which ends with its pipe, so also when the daemon is killed.

    Nothing waits for it: without the lock, the hand is as it would be without this class.

    Args:
        seats: the directory by which logind is found; another one in tests.

    Attributes:
        problem: why the machine may go to sleep though the hand has torque; empty if it may not, or
            if there is no logind that would send it to sleep.
    """

    def __init__(self, seats: Path = SEATS) -> None:
        self.problem = ""
        self._seats = seats
        self._process: subprocess.Popen[str] | None = None
        self._wanted = False

    @property
    def held(self) -> bool:
        """Whether the process that holds the lock runs."""
        return self._process is not None and self._process.poll() is None

    def want(self, wanted: bool) -> None:
        """Takes the lock or gives it back; called again and again, and never waits."""
        begins, self._wanted = wanted and not self._wanted, wanted
        if begins:
            self._take()
        elif not wanted:
            self._give_back()
        elif self._process is not None and self._process.poll() is not None:
            assert self._process.stderr is not None
            said = self._process.stderr.read().strip().splitlines()
            self._fail(said[-1] if said else f"ended with code {self._process.returncode}")
            self._give_back()

    def close(self) -> None:
        """Gives the lock back, and waits a moment for the process to end."""
        process = self._process
        self._give_back()
        if process is not None:
            with suppress(subprocess.TimeoutExpired):
                process.wait(_END)

    def _take(self) -> None:
        self._give_back()
        self.problem = ""
        if not self._seats.is_dir():
            return
        try:
            self._process = subprocess.Popen(
                [*LOCK, "cat"],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                env=environment(),
                start_new_session=True,
            )
        except OSError as error:
            self._fail(f"{LOCK[0]}: {error.strerror}")

    def _give_back(self) -> None:
        if self._process is not None:
            assert self._process.stdin is not None and self._process.stderr is not None
            # The end of its input ends `cat`, and that ends the lock.
            with suppress(OSError):
                self._process.stdin.close()
            self._process.stderr.close()
            self._process = None

    def _fail(self, reason: str) -> None:
        self.problem = f"the machine may go to sleep while the hand has torque: {reason}"
        log.warning("%s (docs/operating.md, Sleep)", self.problem)
