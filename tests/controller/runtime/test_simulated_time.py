"""A simulated hand on a slow, halted or busy machine: simulated time is not affected."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from inhand.controller.client.simulated import hand_clock, simulated_daemon
from inhand.controller.client.sync import Client
from inhand.controller.runtime.timed_hand import TimedHand

PATIENCE = 120.0


def wait(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def process_of(directory: Path, *words: str) -> int:
    """Number of the process of this run whose command line has these words."""
    for number in filter(str.isdecimal, os.listdir("/proc")):
        with suppress(OSError):
            line = Path(f"/proc/{number}/cmdline").read_text().split("\0")
            if all(word in line for word in words) and str(directory) in " ".join(line):
                return int(number)
    raise AssertionError(f"no process of {words}")


@contextmanager
def halted(process: int) -> Iterator[None]:
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    directory = tmp_path_factory.mktemp("run")
    with simulated_daemon(directory):
        yield directory


@pytest.fixture
def hand(directory: Path) -> Iterator[Client]:
    with Client(directory, timeout=PATIENCE) as client:
        if client.status()["mode"] == "off":
            client.call("enable")
        yield client


@pytest.mark.parametrize(
    "words",
    [
        ("inhand.sim_backend",),
        ("inhand.sim_backend.renderer",),
        ("inhand.perception.camera.camera_process", "left"),
    ],
)
def test_time_stands_still_while_a_part_of_the_simulation_does(
    directory: Path, hand: Client, words: tuple[str, ...]
) -> None:
    last = hand.call("events", since=0)["last"]
    with halted(process_of(directory, *words)):
        before = hand.status()["t"]
        # Ten times what a watchdog or stale joints take, and more than a lost pose does.
        time.sleep(3.0)
        assert hand.status()["t"] - before < 0.2
    wait(lambda: hand.status()["t"] > before + 1.0)
    assert hand.status()["mode"] == "holding" and hand.status()["bus"]["errors"] == 0
    said = [event["kind"] for event in hand.call("events", since=last)["events"]]
    assert not {"mode", "bus", "camera", "pose_old"} & set(said)


def test_servos_wait_for_a_daemon_that_halts(directory: Path, hand: Client) -> None:
    daemon = process_of(directory, "inhand.controller.runtime.daemon")
    before = hand.status()["t"]
    with halted(daemon):
        time.sleep(1.0)
    wait(lambda: hand.status()["t"] > before + 1.0)
    status = hand.status()
    assert status["mode"] == "holding" and status["torque"]
    assert status["tick"]["on_time_share"] == 1.0 and status["tick"]["skipped"] == 0


def test_the_speed_of_simulated_time_is_reported(directory: Path, hand: Client) -> None:
    wait(lambda: 0.0 < hand.status()["real_time_factor"] < 1.2)
    command = [
        sys.executable,
        "-m",
        "inhand.controller.cli.main",
        "status",
        "--directory",
        str(directory),
    ]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "× real time" in said


def test_a_killed_camera_process_does_not_stop_simulated_time(
    directory: Path, hand: Client
) -> None:
    os.kill(
        process_of(directory, "inhand.perception.camera.camera_process", "wrist"), signal.SIGKILL
    )
    before = hand.status()["t"]
    wait(lambda: hand.status()["t"] > before + 1.0)
    wait(lambda: hand.status()["cameras"]["wrist"]["problem"] == "")
    before = hand.status()["t"]
    wait(lambda: hand.status()["t"] > before + 1.0)


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
        process = subprocess.Popen(command, stdout=file, stderr=file)
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
    other = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        again = run(tmp_path / "again", 7)
    finally:
        other.kill()
        other.wait()
    assert again == first
