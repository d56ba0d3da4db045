"""Directories of sockets, and their owners."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from inhand.controller.errors import StartError
from inhand.controller.system import paths
from inhand.controller.system.paths import lock_run_directory, make_run_directory, run_directory


def test_the_order_of_the_run_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "SYSTEM_DIRECTORY", tmp_path / "system")
    monkeypatch.delenv("INHAND_DIRECTORY", raising=False)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    assert run_directory().name == f"inhand-{os.getuid()}"
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert run_directory() == tmp_path / "inhand"
    (tmp_path / "system").mkdir()
    assert run_directory() == tmp_path / "system"
    monkeypatch.setenv("INHAND_DIRECTORY", "/chosen")
    assert run_directory() == Path("/chosen")
    assert run_directory("/given") == Path("/given")


def test_the_directory_is_private(tmp_path: Path) -> None:
    directory = tmp_path / "a" / "b"
    make_run_directory(directory)
    make_run_directory(directory)
    assert directory.stat().st_mode & 0o077 == 0


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match="give another"):
        make_run_directory(tmp_path / "file" / "inhand")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_somebody_else(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, -1)
    with pytest.raises(StartError, match="belongs to user 12345"):
        make_run_directory(tmp_path)


def test_two_daemons_do_not_share_a_directory(tmp_path: Path) -> None:
    held = lock_run_directory(tmp_path)
    with pytest.raises(StartError, match="another inhandd runs"):
        lock_run_directory(tmp_path)
    program = (
        f"from inhand.controller.system.paths import *; lock_run_directory(Path({str(tmp_path)!r}))"
    )
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert b"another inhandd runs" in other.stderr
    os.close(held)
    os.close(lock_run_directory(tmp_path))
