"""What a running daemon publishes, as the messages of a recording's channels."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from inhand.controller.client.connection import Message
from inhand.controller.core.records import Event
from inhand.controller.recording.foxglove_channels import (
    OF_JOINTS,
    OF_OUTPUTS,
    log_message,
    pose_message,
)
from inhand.hardware.model.hand import Hand

Shown = tuple[str, float, Message]
"""Topic, time [s] of the daemon's clock, and message without time stamp."""


def of_state(state: Message, hand: Hand) -> Iterator[Shown]:
    """The messages of one message of the topic `state`."""
    t = state["t"]
    pose, goal, joints = state["object"]["pose"], state["goal"], state["joints"]
    if pose is not None:
        position = np.array(pose["position"])
        yield "/object", t, pose_message(position, np.array(pose["quaternion"]))
        if goal is not None:
            yield "/goal", t, pose_message(position, np.array(goal["quaternion"]))
    if joints is not None:
        angles = hand.joint_angles(np.array(joints["position"]))
        speeds = hand.joint_speeds(np.array(joints["velocity"]))
        rows = zip(hand.joint_names, angles.tolist(), speeds.tolist(), strict=True)
        states = [{"name": name, "position": p, "velocity": v} for name, p, v in rows]
        yield "/joints", t, {"joints": states}
        target = state["targets"] or joints["position"]
        servos = {"names": list(hand.actuator_names), "target": target}
        yield "/servos", t, servos | {name: joints[name] for name in OF_JOINTS if name in joints}
    shown = {**state, "in_hand": state["object"]["in_hand"]}
    told: dict[str, Any] = {name: shown[name] for name in OF_OUTPUTS}
    if pose is not None:
        told["pose_age"] = pose["age"]
    if goal is not None:
        told |= {"goal": goal["number"], "goal_error": goal["error"]}
    yield "/state", t, told


def of_event(event: Message) -> Shown:
    """The line of the log of one message of the topic `event`."""
    details = {key: value for key, value in event.items() if key not in ("n", "t", "kind")}
    return "/log", event["t"], log_message(Event(event["t"], event["kind"], details))
