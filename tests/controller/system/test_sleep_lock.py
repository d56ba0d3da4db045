"""The lock against sleep, with a real systemd-logind of its own where that can be started."""

import logging
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from inhand.controller.system.sleep_lock import SleepLock
from inhand.perception.parent import environment

HERE = Path(__file__).resolve().parent
LOGIND = Path("/lib/systemd/systemd-logind")
UNSHARED = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")

LIFE = """
import os, signal, subprocess, sys, time
from inhand.controller.system.sleep_lock import SleepLock

def listed():
    said = subprocess.run(["systemd-inhibit", "--list"], capture_output=True, text=True).stdout
    return "inhandd" in said and "block" in said

def until(what):
    deadline = time.monotonic() + 120
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)

lock = SleepLock()
for _ in range(2):
    lock.want(True)
    until(listed)
    lock.want(True)
    assert lock.held and not lock.problem
    lock.want(False)
    until(lambda: not listed())
    assert not lock.held
daemon = os.fork()
if not daemon:
    lock.want(True)
    until(listed)
    os.kill(os.getpid(), signal.SIGKILL)
os.waitpid(daemon, 0)
until(lambda: not listed())
# Another user may not block sleep without a rule of polkit.
os.setuid(65534)
lock.want(True)
until(lambda: lock.want(True) or lock.problem)
print(lock.problem)
"""
"""Taken, given back, taken again, held by a process that is killed, and refused."""


def forbidden() -> str:
    if os.getuid() != 0 or not LOGIND.exists() or shutil.which("dbus-daemon") is None:
        return "needs root, systemd-logind and dbus-daemon"
    tried = subprocess.run([*UNSHARED, "true"], capture_output=True, text=True, check=False)
    return tried.stderr.strip() if tried.returncode else ""


def test_logind_is_asked_not_to_sleep_while_the_hand_has_torque() -> None:
    if reason := forbidden():
        pytest.skip(reason)
    command = [*UNSHARED, str(HERE / "logind.sh"), sys.executable, "-c", LIFE]
    done = subprocess.run(
        command, env=environment(), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "may go to sleep while the hand has torque: Failed to inhibit" in done.stdout


def test_without_logind_nothing_is_started(tmp_path: Path) -> None:
    lock = SleepLock(tmp_path / "seats")
    lock.want(True)
    assert not lock.held and not lock.problem


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("#!/bin/sh\necho first >&2; echo 'Access denied' >&2; exit 1\n", "Access denied"),
        ("#!/bin/sh\nexit 3\n", "ended with code 3"),
        (None, "systemd-inhibit: No such file or directory"),
    ],
)
def test_a_refusal_is_one_line_for_each_time_that_torque_goes_on(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    program: str | None,
    reason: str,
) -> None:
    if program is not None:
        (tmp_path / "systemd-inhibit").write_text(program)
        (tmp_path / "systemd-inhibit").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    caplog.set_level(logging.WARNING)
    lock = SleepLock(tmp_path)
    for number in (1, 2):
        deadline = time.monotonic() + 120
        lock.want(True)
        while not lock.problem:
            assert time.monotonic() < deadline
            lock.want(True)
        lock.want(True)
        assert lock.problem.endswith(reason) and len(caplog.records) == number
        lock.want(False)
    lock.close()
