"""`inhand status --watch`: one screen on a terminal, lines elsewhere."""

import json
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from inhand.controller.cli.status_screen import screen
from inhand.controller.ipc.telemetry import as_pace
from tests.controller.served import Served

WAIT = 120.0
TOLD = {
    "tick": {"ticks": 5, "recent_on_time_share": 0.98},
    "bus": {"errors": 0, "problem": ""},
    "cameras": {"left": {"rate": 15.0, "problem": "", "eyes": "network"}},
}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with Served(tmp_path, statistics=lambda: TOLD) as served:
        yield served


def command(served: Served, *arguments: str) -> list[str]:
    program = [sys.executable, "-m", "inhand.controller.cli.main", "status", "--watch"]
    return [*program, "--directory", str(served.directory), *arguments]


def read_until(descriptor: int, wanted: str) -> str:
    read, deadline = b"", time.monotonic() + WAIT
    while wanted not in read.decode(errors="replace"):
        assert time.monotonic() < deadline, read
        if select.select([descriptor], [], [], 1.0)[0]:
            read += os.read(descriptor, 65536)
    return read.decode()


def test_a_terminal_shows_one_screen_that_follows_the_daemon(served: Served) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command(served), stdout=theirs, stderr=theirs)
    os.close(theirs)
    try:
        shown = read_until(ours, "current")
        assert "\x1b[H" in shown and "camera left: 15 Hz, by network, all right" in shown
        served.bench.controller.estop()
        assert "\x1b[1;31mmode: estop" in read_until(ours, "mode: estop")
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def test_elsewhere_it_prints_a_line_of_json_a_second(served: Served) -> None:
    process = subprocess.Popen(command(served, "--json"), stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        told = [json.loads(process.stdout.readline()) for _ in range(2)]
        assert told[0]["mode"] == "off" and told[1]["t"] > told[0]["t"]
    finally:
        process.kill()
        process.wait()


def test_a_screen_tells_of_every_servo_and_of_the_goal(served: Served) -> None:
    state = {"mode": "running", "reason": "goal", "policy": None, "reached": 1, "missed": 0}
    state |= {"waiting": 0, "object": {"in_hand": True, "pose": None}, **TOLD}
    state |= {"goal": {"number": 2, "error": 1.5708, "seconds": 3.0}, "targets": None}
    joints = {"position": [0.0, 0.1, 0.2], "current": [0.1, 0.2, 0.3]}
    text = screen({**state, "joints": joints}, colour=False)
    assert "[##########          ] 90° to go, 3.0 s" in text
    assert text.splitlines()[-1].strip().startswith("1     5.7°     5.7°   0.20 A")
    assert "no servo was read" in screen({**state, "joints": None}, colour=False)
    assert "\x1b[1;32m" in screen({**state, "joints": None}, colour=True)


def test_in_simulated_time_its_speed_is_told_and_not_how_punctual_it_is() -> None:
    assert as_pace(TOLD) == "98.0 % on time lately"
    assert as_pace({**TOLD, "real_time_factor": None}) == "98.0 % on time lately"
    assert as_pace({**TOLD, "real_time_factor": 0.58}) == "0.6 × real time"
