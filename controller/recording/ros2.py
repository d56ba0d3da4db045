"""`inhand recording export FILE --ros2`: a bag (MCAP) with standard messages of ROS 2.

The message definitions are those of ROS 2 Humble, as the library `rosbags` has them.
"""

from base64 import b64decode
from pathlib import Path
from typing import Any, Literal

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from inhand.controller.errors import RecordingError
from inhand.controller.recording.folders import new_folder
from inhand.controller.recording.reader import Recording
from inhand.controller.recording.ros2_messages import header, of_channel, transforms
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

    def make(self, name: str, /, **members: Any) -> Any:
        """A message of the type `name`."""
        return self._store.types[name](**members)

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
    described = recording.header
    hand = parse_hand(described.hand.encode(), recording.path)
    rig = parse_rig(described.rig.encode(), recording.path)
    with new_folder(folder) as part:
        # `Writer` makes the folder.
        with Writer(part, version=BAG_VERSION, storage_plugin=StoragePlugin.MCAP) as writer:
            bag = _Bag(writer)
            begun = False
            for topic, stamp, message in recording.messages():
                if not begun:
                    urdf = bag.make("std_msgs/msg/String", data=hand_urdf(hand))
                    bag.write("/robot_description", stamp, urdf)
                    _write_cameras(bag, stamp, rig)
                    begun = True
                _write(bag, topic, stamp, message)
        if not begun:
            raise RecordingError(f"export of {recording.path}: it has no messages")
    return bag.counts


def _write(bag: _Bag, topic: str, stamp: int, message: dict[str, Any]) -> None:
    for name, made in of_channel(bag.make, topic, stamp, message):
        bag.write(name, stamp, made)
    if topic == "/log":
        line = bag.make(
            "rcl_interfaces/msg/Log",
            stamp=header(bag.make, stamp, "").stamp,
            level=_LEVELS[message["level"]],
            name=message["name"],
            msg=message["message"],
            file=message["file"],
            function="",
            line=message["line"],
        )
        bag.write("/rosout", stamp, line)
    elif topic.startswith("/image/"):
        camera = topic.removeprefix("/image/")
        data = np.frombuffer(b64decode(message["data"]), np.uint8)
        image = bag.make(
            "sensor_msgs/msg/CompressedImage",
            header=header(bag.make, stamp, camera),
            format=message["format"],
            data=data,
        )
        bag.write(f"/{camera}/image/compressed", stamp, image)


def _write_cameras(bag: _Bag, stamp: int, rig: dict[str, Camera]) -> None:
    """Writes lens and place of each camera; a camera's frame is the optical frame of ROS."""
    for name, camera in rig.items():
        model = "plumb_bob" if len(camera.distortion) <= 5 else "rational_polynomial"
        if camera.model == "fisheye":
            model = "equidistant"
        projection = np.hstack([camera.matrix, np.zeros((3, 1))]).ravel()
        info = bag.make(
            "sensor_msgs/msg/CameraInfo",
            header=header(bag.make, stamp, name),
            height=camera.height,
            width=camera.width,
            distortion_model=model,
            d=np.array(camera.distortion),
            k=camera.matrix.ravel().copy(),
            r=np.eye(3).ravel(),
            p=projection,
            binning_x=0,
            binning_y=0,
            roi=bag.make(
                "sensor_msgs/msg/RegionOfInterest",
                x_offset=0,
                y_offset=0,
                height=0,
                width=0,
                do_rectify=False,
            ),
        )
        bag.write(f"/{name}/camera_info", stamp, info)
    places = [(name, one.position.tolist(), one.quaternion.tolist()) for name, one in rig.items()]
    bag.write("/tf_static", stamp, transforms(bag.make, stamp, places))
