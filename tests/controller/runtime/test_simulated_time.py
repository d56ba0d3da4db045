"""A simulated hand on a slow, halted or busy machine: simulated time is not affected."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from inhand.controller.client.simulated import simulated_daemon
from inhand.controller.client.sync import Client
from tests.controller.runtime.process_search import (
    PATIENCE,
    halted,
    other_process,
    process_of,
    wait,
)

CAMERA = "inhand.perception.camera.camera_process"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    directory = tmp_path_factory.mktemp("run")
    with simulated_daemon(directory):
        yield directory


@pytest.fixture
def hand(directory: Path) -> Iterator[Client]:
    with Client(directory, timeout=PATIENCE) as client:
        wait(lambda: client.status()["mode"] != "starting")
        if client.status()["mode"] == "off":
            client.call("enable")
        yield client


@pytest.mark.parametrize(
    "words",
    [
        ("inhand.sim_backend",),
        ("inhand.sim_backend.renderer",),
        (CAMERA, "left"),
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
    killed = process_of(directory, CAMERA, "wrist")
    os.kill(killed, signal.SIGKILL)
    before = hand.status()["t"]
    wait(lambda: hand.status()["t"] > before + 1.0)

    # What the status had of the killed one is forgotten before another one is started.
    wait(lambda: other_process(killed, directory, CAMERA, "wrist"))

    def seen() -> bool:
        wrist = hand.status()["cameras"]["wrist"]
        return bool(wrist["frames"] > 0 and wrist["problem"] == "")

    wait(seen)
    before = hand.status()["t"]
    wait(lambda: hand.status()["t"] > before + 1.0)
