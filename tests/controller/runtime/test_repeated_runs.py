"""A run in simulated time repeats on a busy machine, and ends with its world."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from inhand.controller.client.simulated import hand_clock, simulated_daemon
from inhand.controller.client.sync import Client
from inhand.controller.runtime.timed_hand import TimedHand
from inhand.perception.parent import environment
from tests.controller.runtime.process_search import PATIENCE, process_of, wait


def test_the_daemon_ends_when_its_world_does(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "inhand.controller.runtime.daemon",
        "--sim",
        "--directory",
        str(tmp_path),
    ]
    log = tmp_path / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env=environment())
    try:
        wait(lambda: b"inhandd ready" in log.read_bytes())
        os.kill(process_of(tmp_path, "inhand.sim_backend"), signal.SIGKILL)
        assert process.wait(PATIENCE) == 1
        assert b"the simulation ended with code -9" in log.read_bytes()
    finally:
        process.kill()
        process.wait()


def run(directory: Path, seed: int) -> list[dict[str, Any]]:
    """The states of a hand at fixed simulated times while it works on a goal."""
    directory.mkdir()
    said = []
    with (
        simulated_daemon(directory, "--hold", "--seed", str(seed)),
        Client(directory, timeout=PATIENCE) as client,
        hand_clock(directory) as clock,
    ):
        hand = TimedHand(client, clock)
        hand.sleep(0.2)
        for request in ("enable", "home"):
            hand.call(request)
        hand.sleep(1.0)
        hand.call("arm")
        hand.call("random_goals", count=0, seed=seed)
        for _ in range(20):
            hand.sleep(0.1)
            status = hand.status()
            said.append({name: status[name] for name in ("t", "mode", "joints", "targets", "goal")})
            said[-1]["pose"] = status["object"]["pose"]
            said[-1]["events"] = hand.events()
    return said


def test_runs_with_the_same_seed_are_equal_on_a_busy_machine(tmp_path: Path) -> None:
    first = run(tmp_path / "first", 7)
    assert first[-1]["mode"] == "running" and first[0]["joints"] != first[-1]["joints"]
    busy = "import os\nparent = os.getppid()\nwhile os.getppid() == parent: pass"
    other = subprocess.Popen([sys.executable, "-c", busy])
    try:
        again = run(tmp_path / "again", 7)
    finally:
        other.kill()
        other.wait()
    assert again == first
