"""The protocol, spoken by the `zeromq` package of npm."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.controller.served import Served

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "watch_zmq.mjs"


@pytest.mark.slow
def test_requests_and_states_from_node(tmp_path: Path) -> None:
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.skip("needs node and npm")
    script = tmp_path / "watch.mjs"
    script.write_text(EXAMPLE.read_text())
    install = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(tmp_path), "zeromq@6.8.0"]
    got = subprocess.run(install, cwd=tmp_path, capture_output=True, timeout=300, check=False)
    if got.returncode:
        pytest.skip("npm cannot install zeromq here")
    sockets = tmp_path / "s"
    sockets.mkdir()
    with Served(sockets) as served:
        while not served.request_queue.snapshot:
            pass
        command = [node, str(script), str(sockets)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert ended.stderr == ""
    assert ended.stdout.splitlines() == [
        "0 status off",
        "1 arm refused",
        "2 enable holding",
        "3 disable off",
        "state off",
    ]
