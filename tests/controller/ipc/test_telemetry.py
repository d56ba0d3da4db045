"""The state that clients get: which members it has, and what they say."""

import json

import numpy as np

from inhand.controller.ipc.protocol import to_json
from inhand.controller.ipc.telemetry import describe
from inhand.controller.safety.modes import Mode
from tests.controller.bench_hand import Bench, ScriptedPolicy

TOP = """
t mode reason torque joints effort targets object paused goal waiting reached missed dropped policy
"""
JOINTS = "age ages position velocity current temperature voltage"
POSE = "t age position quaternion linear_velocity angular_velocity deviation"
GOAL = "number quaternion error tolerance hold timeout seconds"


def running() -> Bench:
    """A hand that works on a goal."""
    bench = Bench(ScriptedPolicy([np.zeros(20)]))
    bench.start(Mode.READY)
    bench.ask(3.0)
    bench.run(0.05)
    return bench


def test_the_state_has_exactly_the_members_of_the_protocol() -> None:
    bench = running()
    state = json.loads(to_json(describe(bench.controller.snapshot(), bench.t)))
    assert set(state) == set(TOP.split())
    assert set(state["joints"]) == set(JOINTS.split())
    assert set(state["object"]) == {"in_hand", "pose"}
    assert set(state["object"]["pose"]) == set(POSE.split())
    assert set(state["goal"]) == set(GOAL.split())
    assert set(state["policy"]) == {"name", "sha256", "world", "monitor"}


def test_the_state_says_what_the_snapshot_holds() -> None:
    bench = running()
    snapshot = bench.controller.snapshot()
    state = json.loads(to_json(describe(snapshot, snapshot.t + 0.25)))
    assert snapshot.joints is not None and snapshot.pose is not None
    assert snapshot.goal is not None and snapshot.order is not None
    assert state["mode"] == "running" and state["torque"] is True
    assert state["joints"]["position"] == snapshot.joints.position.tolist()
    assert state["joints"]["age"] == max(state["joints"]["ages"])
    assert state["object"]["pose"]["age"] == snapshot.pose.age
    assert state["object"]["pose"]["deviation"] == [
        float(x) ** 0.5 for x in snapshot.pose.covariance.diagonal()[:6]
    ]
    assert state["goal"]["number"] == snapshot.order.number
    assert state["goal"]["timeout"] == snapshot.order.timeout
    assert state["goal"]["seconds"] == snapshot.t - snapshot.goal.started


def test_before_the_first_reading_there_is_nothing_to_say_of_joints_and_object() -> None:
    bench = Bench(ScriptedPolicy([]))
    state = json.loads(to_json(describe(bench.controller.snapshot(), 0.0)))
    assert state["joints"] is state["goal"] is state["targets"] is None
    assert state["object"] == {"in_hand": False, "pose": None}
