"""Immutable, time-stamped records of what cameras saw and where the object is, and their wire form.

Time stamps are capture times: when the world was seen, not when a message arrived.
"""

from dataclasses import dataclass

import msgspec
import numpy as np

from inhand.perception.errors import PerceptionError
from inhand.perception.rotations import Array


def frozen_array(values: object) -> Array:
    """Returns a read-only float64 copy, as every record carries."""
    array = np.array(values, dtype=np.float64)
    array.setflags(write=False)
    return array


@dataclass(frozen=True, slots=True)
class TagCorners:
    """The tags that one camera saw in one frame; an empty record is a frame without tags.

    Attributes:
        t: when the frame was captured [s].
        camera: name of the camera in the rig.
        ids: tag ids, k of them, each at most once.
        corners: [px], (k, 4, 2), clockwise from the top left of the tag's official picture; the
            centre of the image's top-left pixel is at (0, 0).
        noise: standard deviation of a corner coordinate [px].
    """

    t: float
    camera: str
    ids: tuple[int, ...]
    corners: Array
    noise: float


@dataclass(frozen=True, slots=True)
class ObjectPose:
    """Estimated pose and velocity of the object with their covariance and time.

    Attributes:
        t: instant the pose is valid for [s].
        position: world frame [m], (3,).
        quaternion: world from object, wxyz, (4,).
        linear_velocity: world frame [m/s], (3,).
        angular_velocity: world frame [rad/s], (3,).
        covariance: of the error state (position, rotation in the world frame, linear velocity,
            angular velocity), (12, 12).
        age: time since the last accepted measurement [s].
    """

    t: float
    position: Array
    quaternion: Array
    linear_velocity: Array
    angular_velocity: Array
    covariance: Array
    age: float


class CameraStatus(msgspec.Struct, frozen=True, tag="status", forbid_unknown_fields=True):
    """Heartbeat of a camera process, sent about twice a second.

    Attributes:
        t: when it was sent [s].
        camera: name of the camera in the rig.
        frames: frames processed since the start.
        frame_age: time since the capture of the newest frame [s]; infinite before the first.
        rate: frames processed a second, since the last status.
        detection_time: mean time to detect the tags of a frame, since the last status [s].
        problem: what is wrong, empty if nothing is.
        note: what is not as it should be, though frames come: settings that the camera did not
            accept, time stamps of the arrival; empty if nothing is.
    """

    t: float
    camera: str
    frames: int
    frame_age: float
    rate: float
    detection_time: float
    problem: str
    note: str = ""


class _CornersMessage(msgspec.Struct, frozen=True, tag="corners", forbid_unknown_fields=True):
    t: float
    camera: str
    ids: tuple[int, ...]
    corners: bytes  # float64, little-endian, (k, 4, 2)
    noise: float


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_CornersMessage | CameraStatus)


def encode(record: TagCorners | CameraStatus) -> bytes:
    """Packs a record for the wire (MessagePack)."""
    if isinstance(record, TagCorners):
        corners = np.ascontiguousarray(record.corners, dtype="<f8").tobytes()
        return _encoder.encode(
            _CornersMessage(record.t, record.camera, record.ids, corners, record.noise)
        )
    return _encoder.encode(record)


def decode(message: bytes) -> TagCorners | CameraStatus:
    """Decodes a message of `encode`.

    Raises:
        PerceptionError: the message is malformed or carries numbers that are not finite.
    """
    try:
        data = _decoder.decode(message)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise PerceptionError(f"malformed camera message: {reason}") from error
    if isinstance(data, CameraStatus):
        return data
    if len(data.corners) != 64 * len(data.ids):
        raise PerceptionError(
            f"malformed camera message of {data.camera!r}: {len(data.ids)} tags need "
            f"{64 * len(data.ids)} bytes of corners, got {len(data.corners)}"
        )
    corners = frozen_array(np.frombuffer(data.corners, dtype="<f8").reshape(-1, 4, 2))
    if not (np.isfinite(corners).all() and np.isfinite(data.t) and data.noise > 0):
        raise PerceptionError(
            f"camera message of {data.camera!r} has a time, corner or noise that is not a "
            "finite (positive) number"
        )
    return TagCorners(data.t, data.camera, data.ids, corners, data.noise)
