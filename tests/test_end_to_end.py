"""The daemon as a process, on the simulated hand behind its wires, commanded over ZMQ."""

import os
import signal
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest

from inhand.controller.client.sync import Client
from inhand.controller.errors import RefusedError
from inhand.controller.recording.reader import open_recording
from inhand.controller.recording.replay import Replay
from tests.controller.runtime.process_search import other_process, process_of
from tests.daemon_process import HAND, Daemon, ask_world, give_block, is_holding, let_pass

CAMERA = "inhand.perception.camera.camera_process"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    daemon = Daemon(tmp_path_factory.mktemp("daemon"))
    yield daemon
    daemon.kill()


@pytest.fixture
def hand(daemon: Daemon) -> Iterator[Client]:
    with Client(daemon.directory, timeout=120) as client:
        yield client


def test_joints_follow_a_client(daemon: Daemon, hand: Client) -> None:
    daemon.wait(lambda: is_holding(hand))
    at = HAND.actuator_names.index("FFJ3")
    assert hand.joints({"FFJ3": 0.3}, speed=2.0)["left"] <= 1e-3
    # It opens: the block stops a finger that closes.
    assert hand.follow([0.3, 0.6], [[0.15], [0.0]], ["FFJ3"])["seconds"] == 0.0
    let_pass(daemon, hand, 0.3)
    assert abs(hand.status()["joints"]["position"][at]) < 0.1
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
    saved = next(event for event in hand.events(timeout=120) if event["kind"] == "recording_saved")
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
    killed = process_of(daemon.directory, CAMERA, "left")
    os.kill(killed, signal.SIGKILL)
    daemon.wait(lambda: "starting it again" in daemon.log.read_text())
    # What the status had of the killed one is forgotten before another one is started.
    daemon.wait(lambda: other_process(killed, daemon.directory, CAMERA, "left"))
    daemon.wait(lambda: hand.status()["cameras"]["left"]["frames"] > 0)
