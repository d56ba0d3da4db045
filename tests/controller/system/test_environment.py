"""An environment that a daemon does not like: one line each, and no traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from inhand.controller.errors import PolicyError
from inhand.controller.policy.files import find_policy
from inhand.controller.policy.runtime import load_policy
from inhand.controller.system.clock import SuspendWatch
from tests.controller.bench_hand import BLOCK, HAND

DAEMON = (sys.executable, "-m", "inhand.controller.runtime.daemon")


def started(*arguments: str, **variables: str | None) -> subprocess.CompletedProcess[str]:
    """A daemon in an environment with these variables, or without those that are None."""
    environment = {**os.environ, **{k: v for k, v in variables.items() if v is not None}}
    for name, value in variables.items():
        if value is None:
            environment.pop(name, None)
    return subprocess.run(
        [*DAEMON, *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


def one_line(done: subprocess.CompletedProcess[str], words: str) -> None:
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ") and words in last, done.stderr


def configuration(directory: Path, text: str) -> str:
    file = directory / "inhandd.toml"
    file.write_text(text)
    return str(file)


def test_neither_home_nor_xdg_nor_locale(tmp_path: Path) -> None:
    run = tmp_path / "täg"
    bare = dict.fromkeys(("HOME", "XDG_RUNTIME_DIR", "XDG_STATE_HOME", "LANG", "TERM"))
    done = started("--directory", str(run), **bare, LC_ALL="C", PYTHONUTF8="0")
    one_line(done, "no camera: name a rig file")


def test_a_run_directory_in_which_nothing_can_be_made(tmp_path: Path) -> None:
    # Not even root makes files there.
    one_line(started("--directory", "/proc/self"), "no file can be made in it")
    (tmp_path / "file").write_text("")
    one_line(started("--directory", str(tmp_path / "file" / "run")), "run directory")
    one_line(started("--directory", "/proc/no-such"), "run directory /proc/no-such")


def test_a_service_manager_that_is_not_there(tmp_path: Path) -> None:
    done = started("--directory", str(tmp_path / "run"), NOTIFY_SOCKET=str(tmp_path / "gone"))
    one_line(done, "no camera")


def test_a_fifo_among_the_policies_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.onnx")
    with pytest.raises(PolicyError, match="no such file"):
        find_policy("fifo", tmp_path)
    with pytest.raises(PolicyError, match="no such file"):
        find_policy("0" * 8, tmp_path)
    with pytest.raises(PolicyError, match="not a regular file"):
        load_policy(tmp_path / "fifo.onnx", HAND, BLOCK, allowed=None)
    text = f'[policy]\ndirectory = "{tmp_path}"\nfile = "fifo.onnx"\n'
    done = started("--directory", str(tmp_path / "run"), "--config", configuration(tmp_path, text))
    one_line(done, "not a regular file")


def test_a_configuration_that_is_a_fifo_or_a_directory(tmp_path: Path) -> None:
    one_line(started("--config", str(tmp_path)), str(tmp_path))


def test_a_suspension_is_noticed_once() -> None:
    boot, monotonic = [100.0], [50.0]
    watch = SuspendWatch(lambda: boot[0], lambda: monotonic[0])
    assert watch.suspended() == 0.0
    boot[0] += 1.2
    monotonic[0] += 1.0
    assert watch.suspended() == 0.0
    boot[0] += 600.0
    assert watch.suspended() == 600.0
    assert watch.suspended() == 0.0
    assert SuspendWatch().suspended() == 0.0
