"""Every command that takes --json prints one JSON value on standard output, and nothing else."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from inhand.controller.policy.files import SHIPPED
from tests.controller.recorded import Recorded
from tests.controller.served import Served

ROOT = Path(__file__).parents[3]

REQUESTS = ("status", "events")
RECORDING = (
    "replay FILE",
    "plot FILE",
    "report FILE --seconds 0 --html a.html",
    "recording export FILE",
    "recording repair FILE",
)
OTHERS = (
    "config show",
    "keys list",
    "hand check dactyl24",
    "cameras list",
    "doctor",
    f"policy check {SHIPPED / 'block.onnx'}",
)
MINUTES = ("bench view", "eval --engine mujoco --trials 1 --timeout 2 --cap 1", "demo --goals 1")
"""Commands that start engines, servers or processes of their own."""


def only_value(line: str, folder: Path) -> object:
    """Runs a command as a process with --json; returns the value that `json.loads` finds."""
    command = [sys.executable, "-m", "inhand", *line.split(), "--json"]
    environment = {
        **os.environ,
        "INHAND_DIRECTORY": str(folder),
        "PYTHONPATH": str(ROOT),
    }
    ended = subprocess.run(
        command, capture_output=True, text=True, cwd=folder, env=environment, timeout=300
    )
    try:
        return json.loads(ended.stdout)
    except ValueError:
        pytest.fail(f"{line}: {ended.stdout[:300]!r}; {ended.stderr[-300:]}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a daemon's sockets and a recording."""
    folder = tmp_path_factory.mktemp("json")
    hand = Recorded(folder)
    hand.start()
    hand.run(1.0)
    hand.recorder.save("request")
    hand.run(2.5)
    hand.close()
    with Served(folder) as served:
        while not served.request_queue.snapshot:
            pass
        yield folder


@pytest.mark.parametrize("line", [*REQUESTS, *RECORDING, *OTHERS])
def test_a_command_prints_one_value(folder: Path, line: str) -> None:
    (file,) = folder.glob("recordings/inhand-*.mcap")
    assert only_value(line.replace("FILE", str(file)), folder) is not None


@pytest.mark.slow
@pytest.mark.parametrize("line", MINUTES)
def test_a_command_that_starts_others_prints_one_value(tmp_path: Path, line: str) -> None:
    assert only_value(line, tmp_path)


def test_what_others_print_goes_to_standard_error() -> None:
    program = (
        "import os, subprocess; from inhand.result import print_json, results_only\n"
        "with results_only():\n"
        "    print('a library'); os.write(1, b'C code\\n'); subprocess.run(['echo', 'a child'])\n"
        "    print_json({'value': float('nan')})\n"
        "print('after')"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.stdout == '{"value":null}\nafter\n'
    assert set(ended.stderr.splitlines()) == {"a library", "C code", "a child"}


def test_no_command_prints_json_by_itself() -> None:
    direct = re.compile(r"print\(\s*(msgspec\.json\.encode|json\.dumps)\(")
    # These speak to a parent process of this project.
    own = {"result.py", "process.py", "renderer.py", "lone_daemon.py"}
    for folder in ("inhand", "controller", "perception", "hardware", "training", "sim_backend"):
        for file in (ROOT / folder).rglob("*.py"):
            assert file.name in own or not direct.search(file.read_text()), file
