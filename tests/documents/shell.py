"""Runs lines of the pages in a shell that finds the programs."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from inhand.perception.parent import environment


def started(line: str, folder: Path, **streams: int) -> subprocess.Popen[str]:
    """Starts a line in a folder; a daemon started there has its sockets in it."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**environment(), "PATH": path, "INHAND_DIRECTORY": str(folder)}
    return subprocess.Popen(
        ["bash", "-c", f"exec {line}"],
        cwd=folder,
        env=env,
        text=True,
        preexec_fn=_interruptible,
        **streams,
    )


def _interruptible() -> None:
    """Ctrl-C ends the line even if the tests run in the background of a shell, which ignores it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def typed(line: str, folder: Path, patience: float) -> str:
    """Runs a line to its end, at most `patience` [s]; returns what it printed."""
    process = started(line, folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = process.communicate(timeout=patience)
    assert process.returncode == 0, f"{line}\n{out[-2000:]}\n{err[-2000:]}"
    return out
