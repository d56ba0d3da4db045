"""Messages of ROS 2 from those of a recording's channels, for a bag and for a running hand.

ROS calls the components of a quaternion by name; here it is wxyz.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from inhand.controller.recording.foxglove_channels import WORLD

Frame = tuple[str, Sequence[float], Sequence[float]]
"""A frame in the world: name, position [m], quaternion wxyz."""


class Make(Protocol):
    """Makes a message of the type `name`, such as `std_msgs/msg/String`."""

    def __call__(self, name: str, /, **members: Any) -> Any: ...


def header(make: Make, stamp: int, frame: str) -> Any:
    """`std_msgs/Header`; `stamp` in [ns] since 1970."""
    time = make("builtin_interfaces/msg/Time", sec=stamp // 10**9, nanosec=stamp % 10**9)
    return make("std_msgs/msg/Header", stamp=time, frame_id=frame)


def of_channel(
    make: Make, topic: str, stamp: int, message: dict[str, Any]
) -> Iterator[tuple[str, Any]]:
    """The messages of one message of `/joints`, `/object` or `/goal`, each with its topic.

    Args:
        make: makes messages.
        topic: the channel; others give nothing.
        stamp: [ns] since 1970.
        message: as in a recording.
    """
    if topic == "/joints":
        joints = message["joints"]
        columns = {
            key: np.array([one[key] for one in joints], dtype=np.float64)
            for key in ("position", "velocity")
        }
        yield (
            "/joint_states",
            make(
                "sensor_msgs/msg/JointState",
                header=header(make, stamp, ""),
                name=[one["name"] for one in joints],
                effort=np.zeros(0),
                **columns,
            ),
        )
    elif topic in ("/object", "/goal"):
        pose = message["pose"]
        place, turn = (
            [float(pose[key][axis]) for axis in axes]
            for key, axes in (("position", "xyz"), ("orientation", "wxyz"))
        )
        name = topic.strip("/")
        stamped = make(
            "geometry_msgs/msg/PoseStamped",
            header=header(make, stamp, WORLD),
            pose=make(
                "geometry_msgs/msg/Pose",
                position=_vector(make, "Point", place),
                orientation=_quaternion(make, turn),
            ),
        )
        yield f"/{name}_pose", stamped
        yield "/tf", transforms(make, stamp, [(name, place, turn)])


def transforms(make: Make, stamp: int, frames: Sequence[Frame]) -> Any:
    """`tf2_msgs/TFMessage` of frames in the world; `stamp` in [ns] since 1970."""
    made = [
        make(
            "geometry_msgs/msg/TransformStamped",
            header=header(make, stamp, WORLD),
            child_frame_id=name,
            transform=make(
                "geometry_msgs/msg/Transform",
                translation=_vector(make, "Vector3", place),
                rotation=_quaternion(make, turn),
            ),
        )
        for name, place, turn in frames
    ]
    return make("tf2_msgs/msg/TFMessage", transforms=made)


def _vector(make: Make, kind: str, place: Sequence[float]) -> Any:
    x, y, z = place
    return make(f"geometry_msgs/msg/{kind}", x=x, y=y, z=z)


def _quaternion(make: Make, turn: Sequence[float]) -> Any:
    w, x, y, z = turn
    return make("geometry_msgs/msg/Quaternion", x=x, y=y, z=z, w=w)
