"""`inhand recording export FILE --ros2`: a bag (MCAP) with standard messages of ROS 2.

The message definitions are those of ROS 2 Humble, as the library `rosbags` has them. ROS calls the
components of a quaternion by name; here it is wxyz.
"""

from base64 import b64decode
from pathlib import Path
from typing import Any, Literal

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from inhand.controller.errors import RecordingError
from inhand.controller.recording.folders import new_folder
from inhand.controller.recording.foxglove_channels import WORLD
from inhand.controller.recording.reader import Recording
from inhand.hardware.model.hand import parse_hand
from inhand.hardware.model.urdf import hand_urdf
from inhand.perception.cameras import Camera, parse_rig

BAG_VERSION: Literal[8, 9] = 9
"""Version of the bag's `metadata.yaml`; ROS 2 Humble and later read it."""

_LEVELS = {2: 20, 3: 30, 4: 40}
"""Foxglove's level of a log line: that of rcl_interfaces/Log."""


class _Bag:
    """A bag that is being written, with a connection for each topic."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._store = get_typestore(Stores.ROS2_HUMBLE)
        self._topics: dict[str, Any] = {}
        self.counts: dict[str, int] = {}

    def make(self, name: str, *values: Any) -> Any:
        """A message, its members in the order of its definition."""
        return self._store.types[name](*values)

    def header(self, stamp: int, frame: str) -> Any:
        """`std_msgs/Header`; `stamp` in [ns] since 1970."""
        time = self.make("builtin_interfaces/msg/Time", stamp // 10**9, stamp % 10**9)
        return self.make("std_msgs/msg/Header", time, frame)

    def write(self, topic: str, stamp: int, message: Any) -> None:
        name = message.__msgtype__
        if topic not in self._topics:
            self._topics[topic] = self._writer.add_connection(topic, name, typestore=self._store)
        self._writer.write(self._topics[topic], stamp, self._store.serialize_cdr(message, name))
        self.counts[topic] = self.counts.get(topic, 0) + 1


def export_ros2(recording: Recording, folder: Path) -> dict[str, int]:
    """Writes a bag.

    Args:
        recording: the recording to export.
        folder: the bag's folder, which must not exist.

    Returns:
        Number of messages of each topic.

    Raises:
        RecordingError: the folder exists or cannot be written, or a record is damaged.
    """
    header = recording.header
    hand = parse_hand(header.hand.encode(), recording.path)
    rig = parse_rig(header.rig.encode(), recording.path)
    with new_folder(folder) as part:
        # `Writer` makes the folder.
        with Writer(part, version=BAG_VERSION, storage_plugin=StoragePlugin.MCAP) as writer:
            bag = _Bag(writer)
            begun = False
            for topic, stamp, message in recording.messages():
                if not begun:
                    urdf = bag.make("std_msgs/msg/String", hand_urdf(hand))
                    bag.write("/robot_description", stamp, urdf)
                    _write_cameras(bag, stamp, rig)
                    begun = True
                _write(bag, topic, stamp, message)
        if not begun:
            raise RecordingError(f"export of {recording.path}: it has no messages")
    return bag.counts


def _write(bag: _Bag, topic: str, stamp: int, message: dict[str, Any]) -> None:
    if topic == "/joints":
        joints = message["joints"]
        columns = (np.array([one[key] for one in joints]) for key in ("position", "velocity"))
        states = bag.make(
            "sensor_msgs/msg/JointState",
            bag.header(stamp, ""),
            [one["name"] for one in joints],
            *columns,
            np.zeros(0),
        )
        bag.write("/joint_states", stamp, states)
    elif topic in ("/object", "/goal"):
        pose = message["pose"]
        place, turn = (
            [pose[key][axis] for axis in axes]
            for key, axes in (("position", "xyz"), ("orientation", "wxyz"))
        )
        name = topic.strip("/")
        stamped = bag.make(
            "geometry_msgs/msg/PoseStamped", bag.header(stamp, WORLD), _pose(bag, place, turn)
        )
        bag.write(f"/{name}_pose", stamp, stamped)
        _write_transforms(bag, "/tf", stamp, [(name, place, turn)])
    elif topic == "/log":
        line = bag.make(
            "rcl_interfaces/msg/Log",
            bag.header(stamp, "").stamp,
            _LEVELS[message["level"]],
            *(message[key] for key in ("name", "message", "file")),
            "",
            message["line"],
        )
        bag.write("/rosout", stamp, line)
    elif topic.startswith("/image/"):
        camera = topic.removeprefix("/image/")
        data = np.frombuffer(b64decode(message["data"]), np.uint8)
        image = bag.make(
            "sensor_msgs/msg/CompressedImage",
            bag.header(stamp, camera),
            message["format"],
            data,
        )
        bag.write(f"/{camera}/image/compressed", stamp, image)


def _pose(bag: _Bag, position: list[float], quaternion: list[float]) -> Any:
    """`geometry_msgs/Pose` of a position [m] and a quaternion, wxyz."""
    w, x, y, z = quaternion
    return bag.make(
        "geometry_msgs/msg/Pose",
        bag.make("geometry_msgs/msg/Point", *position),
        bag.make("geometry_msgs/msg/Quaternion", x, y, z, w),
    )


def _write_transforms(
    bag: _Bag, topic: str, stamp: int, frames: list[tuple[str, list[float], list[float]]]
) -> None:
    """Writes the places of frames in the world: name, position [m], quaternion wxyz."""
    transforms = []
    for name, place, (w, x, y, z) in frames:
        transform = bag.make(
            "geometry_msgs/msg/Transform",
            bag.make("geometry_msgs/msg/Vector3", *place),
            bag.make("geometry_msgs/msg/Quaternion", x, y, z, w),
        )
        header = bag.header(stamp, WORLD)
        transforms.append(bag.make("geometry_msgs/msg/TransformStamped", header, name, transform))
    bag.write(topic, stamp, bag.make("tf2_msgs/msg/TFMessage", transforms))


def _write_cameras(bag: _Bag, stamp: int, rig: dict[str, Camera]) -> None:
    """Writes lens and place of each camera; a camera's frame is the optical frame of ROS."""
    for name, camera in rig.items():
        model = "plumb_bob" if len(camera.distortion) <= 5 else "rational_polynomial"
        if camera.model == "fisheye":
            model = "equidistant"
        projection = np.hstack([camera.matrix, np.zeros((3, 1))]).ravel()
        info = bag.make(
            "sensor_msgs/msg/CameraInfo",
            bag.header(stamp, name),
            camera.height,
            camera.width,
            model,
            np.array(camera.distortion),
            camera.matrix.ravel().copy(),
            np.eye(3).ravel(),
            projection,
            0,
            0,
            bag.make("sensor_msgs/msg/RegionOfInterest", 0, 0, 0, 0, False),
        )
        bag.write(f"/{name}/camera_info", stamp, info)
    places = [(name, one.position.tolist(), one.quaternion.tolist()) for name, one in rig.items()]
    _write_transforms(bag, "/tf_static", stamp, places)
