"""`inhand ros2`: a node of ROS 2 that publishes a running hand; see docs.ros.org for rclpy.

No rclpy was available: the node is untested, the messages are those of the tested bags.
"""

import importlib
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
import tyro

from inhand.controller.client.sync import Client
from inhand.controller.errors import ConfigError, RefusedError
from inhand.controller.recording.ros2_messages import Make, of_channel
from inhand.controller.view.live_channels import of_state
from inhand.errors import InhandError
from inhand.hardware.model.hand import Hand, parse_hand
from inhand.hardware.model.urdf import hand_urdf

SERVICES = ("enable", "disable", "home", "arm", "disarm", "cancel", "hold", "clear")
"""Requests that are services (`std_srvs/Trigger`) with `--command`; `estop` always is one."""

_POLL = 50
"""How long the node waits for a message before it looks after its services [ms]."""


@dataclass(frozen=True)
class Options:
    """Publish a running hand to ROS 2: joint states, poses, TF and URDF.

    Needs ROS 2 (rclpy): source its setup file first.

    Example: inhand ros2

    Attributes:
        command: Also offer the requests of modes as services, and take goals from the topic `goal`.
        directory: Where the daemon's sockets are, instead of the usual place.
        key: File from `inhand keys generate`, to publish a hand on another machine.
    """

    command: bool = False
    directory: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    key: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None


def goal_members(pose: Any) -> dict[str, object]:
    """The members of the request `goal`, of a message `geometry_msgs/PoseStamped`."""
    turn = pose.pose.orientation
    return {"quaternion": [turn.w, turn.x, turn.y, turn.z], "replace": True}


class Publisher:
    """Publishes what the daemon says; makes each topic's publisher when it is first needed.

    Args:
        make: makes messages.
        publish: takes topic, message, and whether later subscribers get the latest one too.
    """

    def __init__(self, make: Make, publish: Any) -> None:
        self._make, self._publish = make, publish
        self._described = ""
        self._hand: Hand | None = None
        self._offset = 0.0

    def take(self, topic: str, message: dict[str, Any]) -> None:
        """Takes a message of the topics `state` and `description`."""
        if topic == "description" and message["hand"] != self._described:
            self._described = message["hand"]
            self._hand = parse_hand(self._described.encode(), "the daemon's hand")
            urdf = self._make("std_msgs/msg/String", data=hand_urdf(self._hand))
            self._publish("/robot_description", urdf, True)
        elif topic == "state" and self._hand is not None and "joints" in message:
            # The daemon's clock does not count from 1970.
            self._offset = self._offset or time.time() - message["t"]
            for channel, t, shown in of_state(message, self._hand):
                stamp = round(1e9 * (t + self._offset))
                for name, made in of_channel(self._make, channel, stamp, shown):
                    self._publish(name, made, False)


def _run(options: Options) -> None:
    """Runs the node until Ctrl-C."""
    try:
        rclpy = importlib.import_module("rclpy")
        qos = importlib.import_module("rclpy.qos")
        get_message = importlib.import_module("rosidl_runtime_py.utilities").get_message
        trigger = importlib.import_module("std_srvs.srv").Trigger
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"ros2: {error.name} is not installed; it comes with ROS 2: source its setup file, "
            "such as /opt/ros/jazzy/setup.bash"
        ) from error

    def make(name: str, /, **members: Any) -> Any:
        plain = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in members.items()}
        return get_message(name)(**plain)

    rclpy.init()
    node = rclpy.create_node("inhand")
    publishers: dict[str, Any] = {}
    latched = qos.QoSProfile(depth=1, durability=qos.DurabilityPolicy.TRANSIENT_LOCAL)

    def publish(topic: str, message: Any, latest: bool) -> None:
        if topic not in publishers:
            publishers[topic] = node.create_publisher(
                type(message), topic, latched if latest else 10
            )
        publishers[topic].publish(message)

    with Client(options.directory, key=options.key) as client:

        def call(kind: str, **members: object) -> tuple[bool, str]:
            try:
                return True, msgspec.json.encode(client.call(kind, **members)).decode()
            except (RefusedError, InhandError) as error:
                return False, str(error)

        def served(kind: str) -> Any:
            def answer(_: Any, response: Any) -> Any:
                response.success, response.message = call(kind)
                return response

            return answer

        def aim(pose: Any) -> None:
            done, said = call("goal", **goal_members(pose))
            if not done:
                node.get_logger().error(said)

        for kind in ("estop", *(SERVICES if options.command else ())):
            node.create_service(trigger, f"~/{kind}", served(kind))
        if options.command:
            pose = get_message("geometry_msgs/msg/PoseStamped")
            node.create_subscription(pose, "~/goal", aim, 10)
        publisher, socket = Publisher(make, publish), client.watch("state", "description")
        try:
            while rclpy.ok():
                if socket.poll(_POLL):
                    topic, message = socket.recv_multipart()
                    publisher.take(topic.decode(), msgspec.json.decode(message))
                rclpy.spin_once(node, timeout_sec=0.0)
        finally:
            node.destroy_node()
            rclpy.try_shutdown()


def main() -> int:
    """Entry point of `inhand ros2`."""
    options = tyro.cli(Options, prog="inhand ros2", config=(tyro.conf.FlagCreatePairsOff,))
    try:
        _run(options)
    except InhandError as error:
        sys.exit(f"error: {error}")
    return 0
