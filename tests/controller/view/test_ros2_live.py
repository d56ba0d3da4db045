"""The messages of `inhand ros2`, of a served hand, read by rosbags; the node needs ROS 2."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

from inhand.controller.client.sync import Client
from inhand.controller.view.ros2_live import Publisher, goal_members
from tests.controller.bench_hand import HAND, Bench, learned
from tests.controller.served import UNHURRIED
from tests.controller.view.watched import served

pytest.importorskip("rosbags")
from rosbags.typesys import Stores, get_typestore  # noqa: E402

STORE = get_typestore(Stores.ROS2_HUMBLE)


def test_a_served_hand_is_published_in_messages_of_ros(tmp_path: Path) -> None:
    got: dict[str, Any] = {}

    def publish(topic: str, message: Any, latest: bool) -> None:
        assert latest is (topic == "/robot_description")
        kind = message.__msgtype__
        got[topic] = STORE.deserialize_cdr(STORE.serialize_cdr(message, kind), kind)

    publisher = Publisher(lambda name, /, **members: STORE.types[name](**members), publish)
    with (
        served(tmp_path, Bench(learned(tmp_path), UNHURRIED)),
        Client(tmp_path, timeout=120) as client,
    ):
        socket = client.watch("state", "description")
        asked = False
        while {"/joint_states", "/object_pose", "/tf", "/goal_pose"} - got.keys():
            assert socket.poll(120_000), sorted(got)
            topic, data = socket.recv_multipart()
            message = msgspec.json.decode(data)
            publisher.take(topic.decode(), message)
            if "/object_pose" in got and not asked:
                asked = True
                for kind in ("enable", "arm"):
                    client.call(kind)
                turn = SimpleNamespace(w=0.0, x=1.0, y=0.0, z=0.0)
                pose = SimpleNamespace(pose=SimpleNamespace(orientation=turn))
                client.call("goal", **goal_members(pose))
    assert got["/robot_description"].data.startswith("<")
    joints = got["/joint_states"]
    assert joints.name == list(HAND.joint_names) and np.isfinite(joints.position).all()
    assert joints.header.stamp.sec > 1_700_000_000
    goal = got["/goal_pose"].pose.orientation
    assert (goal.w, abs(goal.x)) == (0.0, 1.0) and got["/goal_pose"].header.frame_id == "world"
    (transform,) = got["/tf"].transforms
    assert transform.child_frame_id in ("object", "goal")


def test_without_ros_it_says_so_in_one_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "inhand", "ros2"], capture_output=True, text=True, env=os.environ
    )
    if "rclpy" not in done.stderr:
        pytest.skip("ROS 2 is installed")
    assert done.returncode == 1 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ros2: rclpy is not installed") and "setup" in line
