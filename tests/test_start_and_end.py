"""How a daemon on a simulated hand starts, loses its line and ends; each test has its own."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from inhand.controller.client.sync import Client
from inhand.controller.errors import RefusedError
from inhand.hardware.model.hand import load_hand
from tests.daemon_process import Daemon, give_block, is_holding, running, wait_until_nothing_runs


@pytest.fixture
def other_daemon(tmp_path: Path) -> Iterator[Daemon]:
    daemon = Daemon(tmp_path)
    yield daemon
    daemon.kill()


def test_it_ends_in_order_and_reports_its_ticks(other_daemon: Daemon) -> None:
    daemon = other_daemon
    with Client(daemon.directory, timeout=120) as hand:
        hand.call("shutdown")
    assert daemon.process.wait(120) == 0
    said = daemon.log.read_text()
    assert "inhandd ended: shutdown was requested" in said
    assert "on time" in said
    assert re.search(r"simulated world: .*, ready [0-9.]+ s after it was up", said)
    memory = re.search(r"memory: ([0-9]+) MB resident at most", said)
    assert memory is not None and int(memory[1]) < 300
    wait_until_nothing_runs(daemon.directory)


def test_another_hand_works_on_a_goal(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, hand=load_hand("leap"))
    try:
        with Client(daemon.directory, timeout=120) as hand:
            give_block(daemon, hand)
            hand.call("arm")
            hand.call("goal", face="-x", tolerance=0.01, timeout=60)
            daemon.wait(lambda: hand.status()["policy_latency"]["p50"] > 0)
            assert len(hand.status()["joints"]["position"]) == 16
    finally:
        daemon.kill()


def test_nothing_stays_behind_when_the_daemon_is_killed(other_daemon: Daemon) -> None:
    other_daemon.kill()
    wait_until_nothing_runs(other_daemon.directory)


def test_a_line_that_is_pulled_out_is_a_fault_and_not_the_end(tmp_path: Path) -> None:
    # In simulated time there would be no telling that the world halts.
    other_daemon = Daemon(tmp_path, "--real-time")
    listed = subprocess.run(
        ["pgrep", "-f", f"sim_backend --run-dir {other_daemon.directory}"],
        capture_output=True,
        text=True,
        check=True,
    )
    world = int(listed.stdout.split()[0])
    with Client(other_daemon.directory, timeout=120) as hand:
        other_daemon.wait(lambda: is_holding(hand))
        os.kill(world, signal.SIGSTOP)
        other_daemon.wait(lambda: hand.status()["mode"] == "fault")
        with pytest.raises(RefusedError):
            hand.call("enable")
        os.kill(world, signal.SIGCONT)

        def is_off() -> bool:
            # Once servos answer again, in time, the fault can be cleared.
            with suppress(RefusedError):
                hand.call("clear")
            return bool(hand.status()["mode"] == "off")

        other_daemon.wait(is_off)
        hand.call("shutdown")
    assert other_daemon.process.wait(120) == 0


def test_nothing_stays_behind_when_a_demonstration_is_killed(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "inhand", "demo", "--view"],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        # Daemon, world, cameras, recorder and page run then.
        assert any("view: http" in line for line in process.stdout)
        assert running(tmp_path)
    finally:
        process.kill()
        process.communicate()
    wait_until_nothing_runs(tmp_path)


@pytest.mark.parametrize(
    ("config", "arguments", "error"),
    [
        ("tik_rate = 100", ["--sim"], "tik_rate"),
        ('[bus]\nport = "/dev/nothing"', [], "no camera"),
        ("", ["--sim", "--policy", "/nowhere.onnx"], "/nowhere.onnx"),
        ('[policy]\ndirectory = "/nowhere"', ["--sim"], "/nowhere/block.onnx"),
    ],
)
def test_what_cannot_start_says_why_in_one_line(
    tmp_path: Path, config: str, arguments: list[str], error: str
) -> None:
    file = tmp_path / "inhandd.toml"
    file.write_text(config)
    done = subprocess.run(
        [sys.executable, "-m", "inhand.controller.runtime.daemon", "--config", str(file)]
        + ["--directory", str(tmp_path / "run"), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert error in last
    assert "ready" not in done.stdout
