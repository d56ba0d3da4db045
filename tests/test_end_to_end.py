"""The daemon as a process, on the simulated hand behind its wires, commanded over ZMQ."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from inhand.controller.client.simulated import WorldClient
from inhand.controller.client.sync import Client
from inhand.controller.errors import RefusedError
from inhand.controller.recording.reader import open_recording
from inhand.controller.recording.replay import Replay
from inhand.hardware.model.hand import Hand, load_hand
from tests.controller import tiny_policy

HAND = load_hand("dactyl24")


class Daemon:
    """`inhandd --sim` with a policy that moves the fingers a little."""

    def __init__(self, directory: Path, *more: str, hand: Hand = HAND) -> None:
        self.directory, self.policy = directory / "run", directory / "tiny.onnx"
        built = tiny_policy.model(hand, scale=3.0)
        tiny_policy.write(self.policy, built, tiny_policy.metadata(hand, built))
        command = [sys.executable, "-m", "inhand.controller.runtime.daemon", "--sim"]
        command += ["--directory", str(self.directory), "--policy", str(self.policy), *more]
        config = directory / "inhandd.toml"
        # In real time, tests share the machine with others, and how punctual it is is not tested.
        config.write_text(f'hand = "{hand.name}"\n[safety]\njoint_ticks = 20\n')
        command += ["--config", str(config)]
        self.log = directory / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        self.wait(lambda: "inhandd ready" in self.log.read_text(), 30)

    def wait(self, what: Callable[[], Any], patience: float = 30.0) -> None:
        deadline = time.monotonic() + patience
        while not what():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def wait_until_nothing_runs(directory: Path) -> None:
    """Waits until no process names this directory any more; on a busy machine it takes a moment."""
    deadline = time.monotonic() + 60.0
    while True:
        found = subprocess.run(["pgrep", "-f", str(directory)], capture_output=True, text=True)
        if not found.stdout:
            return
        assert time.monotonic() < deadline, found.stdout
        time.sleep(0.1)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    daemon = Daemon(tmp_path_factory.mktemp("daemon"))
    yield daemon
    daemon.kill()


@pytest.fixture
def other_daemon(tmp_path: Path) -> Iterator[Daemon]:
    daemon = Daemon(tmp_path)
    yield daemon
    daemon.kill()


@pytest.fixture
def hand(daemon: Daemon) -> Iterator[Client]:
    with Client(daemon.directory) as client:
        yield client


def ask_world(address: str, type: str, **members: object) -> dict[str, Any]:
    with WorldClient(address) as world:
        return world.ask(type, **members)


def give_block(daemon: Daemon, hand: Client) -> None:
    """Opens the hand, puts the block in, and waits until the cameras see it there."""
    daemon.wait(lambda: is_holding(hand), 30)
    world = hand.status()["world"]
    hand.call("home")
    let_pass(daemon, hand, 1.5)
    ask_world(world, type="place", quaternion=[1, 0, 0, 0])

    def found() -> bool:
        truth, seen = ask_world(world, type="state"), hand.status()["object"]
        if not seen["in_hand"]:
            return False
        away = zip(truth["position"], seen["pose"]["position"], strict=True)
        return all(abs(a - b) < 2e-3 for a, b in away)

    let_pass(daemon, hand, 0.5)
    daemon.wait(found)


def let_pass(daemon: Daemon, hand: Client, seconds: float) -> None:
    """Lets time pass for the hand, which lives in that of its world."""
    end = hand.status()["t"] + seconds
    daemon.wait(lambda: hand.status()["t"] >= end, 60)


def is_holding(hand: Client) -> bool:
    """Whether the hand holds; if not, takes a step towards it, out of a fault too."""
    ways = {"off": "enable", "fault": "clear", "ready": "disarm", "running": "disarm"}
    mode = hand.status()["mode"]
    if mode in ways:
        # On a busy machine joints may be old again, which is a fault until they are not.
        with suppress(RefusedError):
            hand.call(ways[mode])
    return bool(mode == "holding")


def test_joints_follow_a_client(daemon: Daemon, hand: Client) -> None:
    daemon.wait(lambda: is_holding(hand), 30)
    at = HAND.actuator_names.index("FFJ3")
    assert hand.joints({"FFJ3": 0.3}, speed=2.0)["left"] <= 1e-3
    assert hand.follow([0.3, 0.6], [[0.6], [0.9]], ["FFJ3"])["seconds"] == 0.0
    let_pass(daemon, hand, 0.3)
    assert abs(hand.status()["joints"]["position"][at] - 0.9) < 0.1
    # Nobody sends a heartbeat any more.
    daemon.wait(lambda: hand.status()["mode"] == "holding")
    assert hand.call("home")["mode"] == "holding"


def test_a_goal_goes_in_and_comes_out_reached(daemon: Daemon, hand: Client) -> None:
    give_block(daemon, hand)
    hand.call("arm")
    hand.subscribe()
    # Any orientation is within pi: the line is tested here, not the policy.
    numbers = hand.call("random_goals", count=2, tolerance=3.1416, hold=0.3)["goals"]
    reached = (e["goal"] for e in hand.events(timeout=60) if e["kind"] == "goal_reached")
    assert list(islice(reached, 2)) == numbers
    assert hand.status()["reached"] == 2


def test_what_the_daemon_did_is_recorded_and_runs_again_equal_to_the_bit(
    daemon: Daemon, hand: Client
) -> None:
    give_block(daemon, hand)
    hand.call("arm")
    hand.call("random_goals", count=0, tolerance=0.01)
    let_pass(daemon, hand, 2.0)
    hand.subscribe()
    assert hand.call("record")["recording"] is False
    saved = next(event for event in hand.events(timeout=30) if event["kind"] == "recording_saved")
    hand.call("disarm")
    report = Replay(open_recording(saved["file"]), daemon.policy.parent).run()
    assert report.difference is None and report.versions == {}
    assert report.ticks > 100


def test_policy_and_servos_are_at_work_while_a_goal_is_open(daemon: Daemon, hand: Client) -> None:
    give_block(daemon, hand)
    hand.call("arm")
    before = ask_world(hand.status()["world"], type="state")["joints"]
    hand.call("goal", face="-x", tolerance=0.01, timeout=60)
    daemon.wait(lambda: hand.status()["policy_latency"]["p50"] > 0)

    def moved() -> bool:
        now = ask_world(hand.status()["world"], type="state")["joints"]
        return max(abs(a - b) for a, b in zip(before, now, strict=True)) > 0.05

    daemon.wait(moved)
    hand.call("disarm")
    assert hand.status()["mode"] == "holding"


def test_an_emergency_stop_takes_the_torque_away(daemon: Daemon, hand: Client) -> None:
    give_block(daemon, hand)
    hand.call("estop")
    assert hand.status()["mode"] == "estop"
    with pytest.raises(RefusedError, match="estop"):
        hand.call("enable")
    world = hand.status()["world"]
    upright = ask_world(world, type="state")["joints"]
    let_pass(daemon, hand, 1.0)
    limp = ask_world(world, type="state")["joints"]
    assert max(abs(a - b) for a, b in zip(upright, limp, strict=True)) > 0.05
    hand.call("clear")
    assert hand.status()["mode"] == "off"


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"type": "goal", "quaternion": [1, 1, 0, 0]}, "invalid"),
        ({"type": "goal", "quaternion": [None, 0, 0, 0]}, "invalid"),
        ({"type": "dance"}, "unknown_type"),
    ],
)
def test_a_request_that_makes_no_sense_moves_nothing(
    hand: Client, request_: dict[str, Any], code: str
) -> None:
    mode = hand.status()["mode"]
    with pytest.raises(RefusedError) as refused:
        hand.call(**request_)
    assert refused.value.code == code
    assert hand.status()["mode"] == mode


def test_a_dead_camera_process_is_started_again(daemon: Daemon, hand: Client) -> None:
    # Enough that the new process has counted fewer when it is seen.
    daemon.wait(lambda: hand.status()["cameras"]["left"]["frames"] > 60)
    frames = hand.status()["cameras"]["left"]["frames"]
    listed = subprocess.run(
        ["pgrep", "-f", f"camera_process --camera left .*{daemon.directory}"],
        capture_output=True,
        text=True,
        check=True,
    )
    os.kill(int(listed.stdout.split()[0]), signal.SIGKILL)
    daemon.wait(lambda: "starting it again" in daemon.log.read_text())
    daemon.wait(lambda: 0 < hand.status()["cameras"]["left"]["frames"] < frames)


def test_it_ends_in_order_and_reports_its_ticks(other_daemon: Daemon) -> None:
    daemon = other_daemon
    with Client(daemon.directory) as hand:
        hand.call("shutdown")
    assert daemon.process.wait(10) == 0
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
        with Client(daemon.directory) as hand:
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
    with Client(other_daemon.directory) as hand:
        other_daemon.wait(lambda: hand.status()["joints"] is not None)
        hand.call("enable")
        os.kill(world, signal.SIGSTOP)
        other_daemon.wait(lambda: hand.status()["mode"] == "fault")
        with pytest.raises(RefusedError):
            hand.call("enable")
        os.kill(world, signal.SIGCONT)
        # Once servos answer again, the fault can be cleared.
        other_daemon.wait(lambda: hand.status()["joints"]["age"] < 0.1)
        hand.call("clear")
        assert hand.status()["mode"] == "off"
        hand.call("shutdown")
    assert other_daemon.process.wait(10) == 0


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
        timeout=30,
    )
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert error in last
    assert "ready" not in done.stdout
