"""The channels of a recording that people look at: JSON with Foxglove's schemas where it has some.

Schemas are cut down to what is used: https://docs.foxglove.dev/docs/visualization/message-schemas.
Quaternions are wxyz everywhere in this program; Foxglove names the components.
"""

from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, get_type_hints

import numpy as np

from inhand.controller.core.records import Event, Outputs
from inhand.controller.recording.tick_record import PARTS, TickRecord
from inhand.controller.safety.modes import Mode
from inhand.hardware.model.hand import Hand
from inhand.hardware.records import Array, JointState

WORLD = "world"
"""The frame of all poses."""

_WARNINGS = (
    "object_dropped",
    "pose_old",
    "goal_missed",
    "goal_overdue",
    "blocked",
    "recording_failed",
)

Message = dict[str, Any]


def _of(properties: dict[str, Any], title: str = "") -> dict[str, Any]:
    named = {"title": title} if title else {}
    return {**named, "type": "object", "properties": properties, "required": list(properties)}


_NUMBER = {"type": "number"}
_NUMBERS = {"type": "array", "items": _NUMBER}
_TEXT = {"type": "string"}
_COUNT = {"type": "integer"}
_FLAG = {"type": "boolean"}
_TIME = _of({"sec": _COUNT, "nsec": _COUNT}, "time")
_VECTOR = _of({"x": _NUMBER, "y": _NUMBER, "z": _NUMBER}, "foxglove.Vector3")
_QUATERNION = _of(dict.fromkeys("xyzw", _NUMBER), "foxglove.Quaternion")
_POSE = _of({"position": _VECTOR, "orientation": _QUATERNION}, "foxglove.Pose")
_POSE_IN_FRAME = _of({"timestamp": _TIME, "frame_id": _TEXT, "pose": _POSE}, "foxglove.PoseInFrame")
_JOINT = _of({"name": _TEXT, "position": _NUMBER}, "foxglove.JointState")
_JOINT["properties"] |= {"velocity": _NUMBER, "effort": _NUMBER}
_JOINT_STATES = _of(
    {"timestamp": _TIME, "joints": {"type": "array", "items": _JOINT}}, "foxglove.JointStates"
)
_LOG = _of(
    {
        "timestamp": _TIME,
        "level": _COUNT,
        "message": _TEXT,
        "name": _TEXT,
        "file": _TEXT,
        "line": _COUNT,
    },
    "foxglove.Log",
)
_IMAGE = _of(
    {
        "timestamp": _TIME,
        "frame_id": _TEXT,
        "data": {"type": "string", "contentEncoding": "base64"},
        "format": _TEXT,
    },
    "foxglove.CompressedImage",
)
_BY_TYPE: dict[object, dict[str, Any]] = {
    str: _TEXT,
    Mode: _TEXT,
    bool: _FLAG,
    int: _COUNT,
    Array: _NUMBERS,
}


def _fields(kind: type, *left_out: str) -> dict[str, dict[str, Any]]:
    """Name and schema of those fields of a record that a channel holds as they are."""
    return {
        name: _BY_TYPE[found]
        for name, found in get_type_hints(kind).items()
        if found in _BY_TYPE and name not in left_out
    }


OF_JOINTS = _fields(JointState)
OF_OUTPUTS = _fields(Outputs, "effort", "waiting")
_NAMES = {"type": "array", "items": _TEXT}
_SERVOS = _of({"timestamp": _TIME, "names": _NAMES, **OF_JOINTS, "target": _NUMBERS})
_STATE = _of({"timestamp": _TIME, **OF_OUTPUTS})
_STATE["properties"] |= {"pose_age": _NUMBER, "goal": _COUNT, "goal_error": _NUMBER}
_TICK = _of({"timestamp": _TIME, "n": _COUNT, **dict.fromkeys(PARTS, _NUMBER)})
_CORNERS = _of(
    {
        "timestamp": _TIME,
        "age": _NUMBER,
        "ids": {"type": "array", "items": _COUNT},
        "corners": {"type": "array", "items": {"type": "array", "items": _NUMBERS}},
    }
)

SCHEMAS: dict[str, tuple[str, dict[str, Any]]] = {
    # topic: (name of its schema, schema)
    "/object": ("foxglove.PoseInFrame", _POSE_IN_FRAME),
    "/goal": ("foxglove.PoseInFrame", _POSE_IN_FRAME),
    "/joints": ("foxglove.JointStates", _JOINT_STATES),
    "/log": ("foxglove.Log", _LOG),
    "/servos": ("inhand.Servos", _SERVOS),
    "/state": ("inhand.State", _STATE),
    "/tick": ("inhand.Tick", _TICK),
}
"""The channels with JSON that every recording has."""

PER_CAMERA: dict[str, tuple[str, dict[str, Any]]] = {
    "/corners/": ("inhand.Corners", _CORNERS),
    "/image/": ("foxglove.CompressedImage", _IMAGE),
}
"""The beginnings of channels that end with a camera's name."""


def schema_of(topic: str) -> tuple[str, dict[str, Any]]:
    """Name and JSON schema of a topic's messages."""
    for beginning, schema in PER_CAMERA.items():
        if topic.startswith(beginning):
            return schema
    return SCHEMAS[topic]


@dataclass(frozen=True, slots=True)
class Picture:
    """What a camera took.

    Attributes:
        camera: its name in the rig.
        t: when it was taken [s].
        jpeg: the picture.
    """

    camera: str
    t: float
    jpeg: bytes


def picture_message(picture: Picture) -> Message:
    """A picture, without its time stamp."""
    data = b64encode(picture.jpeg).decode()
    return {"frame_id": picture.camera, "data": data, "format": "jpeg"}


@dataclass(frozen=True)
class Translator:
    """Makes what people look at of what the tick recorded.

    Attributes:
        hand: gives joints and actuators their names.
        offset: from CLOCK_MONOTONIC to the time of day [s].
    """

    hand: Hand
    offset: float

    def stamp(self, t: float) -> int:
        """Time of day [ns since 1970] of a time `t` [s]."""
        return int((t + self.offset) * 1e9)

    def messages(self, record: TickRecord) -> Iterator[tuple[str, float, Message]]:
        """Topic, time [s] and message, without the time stamp, of all that a tick holds."""
        out, inputs = record.outputs, record.inputs
        if out.pose is not None:
            yield "/object", record.t, pose_message(out.pose.position, out.pose.quaternion)
        if out.goal is not None and out.pose is not None:
            # A goal is an orientation; it is shown where the object is.
            yield "/goal", record.t, pose_message(out.pose.position, out.goal.quaternion)
        if inputs.joints is not None:
            joints = inputs.joints
            angles = self.hand.joint_angles(joints.position)
            speeds = self.hand.joint_speeds(joints.velocity)
            rows = zip(self.hand.joint_names, angles.tolist(), speeds.tolist(), strict=True)
            states = [{"name": name, "position": p, "velocity": v} for name, p, v in rows]
            yield "/joints", joints.t, {"joints": states}
            target = joints.position if out.targets is None else out.targets
            servos = {"names": list(self.hand.actuator_names), "target": target.tolist()}
            servos |= {name: getattr(joints, name).tolist() for name in OF_JOINTS}
            yield "/servos", joints.t, servos
        for seen in inputs.corners:
            corners = {"ids": list(seen.ids), "corners": seen.corners.tolist()}
            yield f"/corners/{seen.camera}", seen.t, {"age": record.t - seen.t, **corners}
        yield "/state", record.t, _state(record)
        yield "/tick", record.t, {"n": record.n, **record.times.parts()}
        for event in record.events:
            yield "/log", event.t, log_message(event)

    def whole(self, t: float, message: Message) -> Message:
        """A message with its time stamp."""
        stamp = self.stamp(t)
        return {"timestamp": {"sec": stamp // 10**9, "nsec": stamp % 10**9}, **message}


def pose_message(position: Array, quaternion: Array) -> Message:
    """A pose, quaternion wxyz."""
    x, y, z = position.tolist()
    w, a, b, c = quaternion.tolist()
    orientation = {"x": a, "y": b, "z": c, "w": w}
    return {
        "frame_id": WORLD,
        "pose": {"position": {"x": x, "y": y, "z": z}, "orientation": orientation},
    }


def _state(record: TickRecord) -> Message:
    out = record.outputs
    state: Message = {name: getattr(out, name) for name in OF_OUTPUTS}
    if out.pose is not None:
        state["pose_age"] = out.pose.age
    if out.goal is not None:
        state |= {"goal": out.goal.number, "goal_error": out.goal.error}
    return state


def log_message(event: Event) -> Message:
    """An event as a line of the log."""
    details = ", ".join(f"{key} {_short(value)}" for key, value in event.data.items())
    fault = event.data.get("after") in ("fault", "estop")
    level = 4 if fault else 3 if event.kind in _WARNINGS else 2
    text = f"{event.kind}: {details}" if details else event.kind
    return {"level": level, "message": text, "name": "inhandd", "file": "", "line": 0}


def _short(value: object) -> object:
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return np.array2string(np.asarray(value), precision=3, separator=", ")
    return value
