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
    """What one camera saw of the object in one frame: tags, or vertices without tags, or nothing.

    Attributes:
        t: when the frame was captured [s].
        camera: name of the camera in the rig.
        ids: tag ids, k of them, each at most once.
        corners: [px], (k, 4, 2), clockwise from the top left of the tag's official picture; the
            centre of the image's top-left pixel is at (0, 0).
        noise: standard deviation of a corner coordinate [px].
        vertices: the object's vertices as a network saw them: two coordinates and the standard
            deviation of each of them [px], (n, 3), in the object's order; None if there is no
            network or if it did not find the object.
    """

    t: float
    camera: str
    ids: tuple[int, ...]
    corners: Array
    noise: float
    vertices: Array | None = None

    @property
    def seen(self) -> bool:
        """Whether it shows the object."""
        return bool(self.ids) or self.vertices is not None


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


@dataclass(frozen=True, slots=True)
class ConfirmedPose:
    """The estimate at the capture time of a measurement that the pose filter accepted.

    Attributes:
        t: capture time [s].
        position: world frame [m], (3,).
        quaternion: world from object, wxyz, (4,).
        covariance: of position and rotation in the world frame, (6, 6) [m, rad].
    """

    t: float
    position: Array
    quaternion: Array
    covariance: Array


@dataclass(frozen=True, slots=True)
class Sighting:
    """Where a measurement showed the object, whether or not the pose filter accepted it.

    Attributes:
        t: capture time [s].
        position: world frame [m], (3,).
        cameras: how many cameras agree on it.
        accepted: whether the pose filter accepted it.
    """

    t: float
    position: Array
    cameras: int
    accepted: bool


@dataclass(frozen=True, slots=True)
class CameraFit:
    """How well a camera fits the other cameras.

    Attributes:
        camera: its name in the rig.
        residual: by how much it shows the object elsewhere than the others do [m].
        turn: angle by which it was moved since its calibration [rad]; 0 if it was not.
        shift: distance by which it was moved [m]; 0 if it was not.
        used: whether its frames are used, with this correction.
        against: cameras that it contradicts, while it is unknown which one was moved.
    """

    camera: str
    residual: float
    turn: float
    shift: float
    used: bool
    against: tuple[str, ...]

    @property
    def problem(self) -> str:
        """What is wrong, and what to do; empty if nothing is."""
        remedy = "run inhand calibrate extrinsics"
        if self.turn or self.shift:
            moved = f"was moved: {np.degrees(self.turn):.1f}°, {1e3 * self.shift:.0f} mm"
            taken = "corrected for now" if self.used else "its frames are not used"
            return f"{moved}; {taken}, {remedy}"
        if self.against:
            others = ", ".join(self.against)
            return (
                f"contradicts {others}: the object appears {1e3 * self.residual:.0f} mm apart; "
                f"one of them was moved, {remedy}"
            )
        return ""


@dataclass(frozen=True, slots=True)
class FilterHealth:
    """Counts and problems of the pose filter's measurements.

    Attributes:
        accepted: measurements accepted since the last reset.
        rejected: measurements rejected by the outlier gate since the last reset.
        late: measurements that arrived too late to be used, since the start.
        recoveries: re-initialisations after consistent rejections since the last reset.
        problem: problem with the latest measurements; empty if there is none.
        cameras: how well the cameras fit each other; empty until they were compared.
    """

    accepted: int = 0
    rejected: int = 0
    late: int = 0
    recoveries: int = 0
    problem: str = ""
    cameras: tuple[CameraFit, ...] = ()


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
        eyes: what finds the object in the frames: `tags`, `network` or `both`.
    """

    t: float
    camera: str
    frames: int
    frame_age: float
    rate: float
    detection_time: float
    problem: str
    note: str = ""
    eyes: str = "tags"


class _CornersMessage(msgspec.Struct, frozen=True, tag="corners", forbid_unknown_fields=True):
    t: float
    camera: str
    ids: tuple[int, ...]
    corners: bytes  # float64, little-endian, (k, 4, 2)
    noise: float
    vertices: bytes | None = None  # float64, little-endian, (n, 3)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_CornersMessage | CameraStatus)


def encode(record: TagCorners | CameraStatus) -> bytes:
    """Packs a record for the wire (MessagePack)."""
    if isinstance(record, TagCorners):
        corners = np.ascontiguousarray(record.corners, dtype="<f8").tobytes()
        vertices = None
        if record.vertices is not None:
            vertices = np.ascontiguousarray(record.vertices, dtype="<f8").tobytes()
        return _encoder.encode(
            _CornersMessage(record.t, record.camera, record.ids, corners, record.noise, vertices)
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
    vertices = None
    if data.vertices is not None:
        vertices = _vertices(data.camera, data.vertices)
    return TagCorners(data.t, data.camera, data.ids, corners, data.noise, vertices)


def _vertices(camera: str, packed: bytes) -> Array:
    if not packed or len(packed) % 24:
        raise PerceptionError(
            f"malformed camera message of {camera!r}: {len(packed)} bytes are no vertices"
        )
    vertices = frozen_array(np.frombuffer(packed, dtype="<f8").reshape(-1, 3))
    if not (np.isfinite(vertices).all() and (vertices[:, 2] > 0).all()):
        raise PerceptionError(
            f"camera message of {camera!r} has a vertex or its deviation that is not a finite "
            "(positive) number"
        )
    return vertices
