"""Frame sources: a device, a simulated camera or a recording, with one interface.

A source returns its newest frame and drops older ones, so that a slow reader has no growing
backlog.
"""

from dataclasses import dataclass
from typing import Protocol, Self

import msgspec
import numpy as np
import zmq

from inhand.perception.cameras import CameraError
from inhand.perception.tags import Image

FROZEN_TIME = 1.0
"""Time without a change of any pixel after which the image counts as frozen [s]: the noise of a
working sensor changes pixels."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One camera frame.

    Attributes:
        t: when it was captured [s].
        image: grey (height, width) or RGB (height, width, 3).
    """

    t: float
    image: Image


class FrameHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """First part of a frame on the wire; the second is the raw pixels, row by row.

    Attributes:
        t: when the frame was captured [s].
        seq: frames counted from the start of the sender.
        width: [px].
        height: [px].
    """

    t: float
    seq: int
    width: int
    height: int


class Source(Protocol):
    """Interface of a frame source.

    Attributes:
        note: what is not as it was asked for; empty if nothing is.
    """

    @property
    def note(self) -> str:
        """See above."""

    def read(self, timeout: float) -> Frame | None:
        """The newest frame that was not returned yet; None if none comes within `timeout` [s].

        Raises:
            CameraError: the data are not a frame, or the source has failed.
        """

    def close(self) -> None:
        """Releases the device or socket."""


def pack_frame(frame: Frame, seq: int) -> list[bytes]:
    """The two parts of a frame on the wire."""
    height, width = frame.image.shape[:2]
    header = FrameHeader(t=frame.t, seq=seq, width=width, height=height)
    return [msgspec.json.encode(header), np.ascontiguousarray(frame.image).tobytes()]


def unpack_frame(parts: list[bytes]) -> Frame:
    """Decodes a message of `pack_frame`; grey or RGB follows from the number of bytes.

    Raises:
        CameraError: the parts contradict each other.
    """
    try:
        head, pixels = parts
        header = msgspec.json.decode(head, type=FrameHeader)
    except (ValueError, msgspec.DecodeError) as error:
        raise CameraError(f"malformed frame message: {error}") from error
    area = header.width * header.height
    shapes = {area: (header.height, header.width), 3 * area: (header.height, header.width, 3)}
    if min(header.width, header.height) <= 0 or len(pixels) not in shapes:
        raise CameraError(
            f"malformed frame message: {header.width}x{header.height} pixels, grey or RGB, do not "
            f"fill {len(pixels)} bytes"
        )
    image = np.frombuffer(pixels, dtype=np.uint8).reshape(shapes[len(pixels)])
    return Frame(header.t, image)


class FrozenPicture:
    """Detects a camera that repeats one image with new time stamps."""

    def __init__(self) -> None:
        self._picture: Image | None = None
        self._since = 0.0

    def check(self, frame: Frame) -> None:
        """Checks the next frame.

        Raises:
            CameraError: the image has been the same for `FROZEN_TIME`.
        """
        if self._picture is None or not np.array_equal(self._picture, frame.image):
            self._picture, self._since = frame.image, frame.t
        elif frame.t - self._since >= FROZEN_TIME and np.ptp(frame.image) > 0:
            # An image of one value has a more specific message: `health.flaw`.
            raise CameraError(
                f"the picture has been frozen for {frame.t - self._since:.1f} s: not a pixel "
                "changes; plug the camera in again"
            )


class RenderedSource:
    """Frames of a simulated camera, published by the renderer.

    Args:
        socket: a SUB socket that is connected to the publisher.
    """

    note = ""

    def __init__(self, socket: "zmq.Socket[bytes]") -> None:
        self._frozen = FrozenPicture()
        self._socket = socket

    @classmethod
    def open(cls, address: str) -> Self:
        """Connects to the publisher at a ZMQ address.

        Raises:
            CameraError: the address is malformed.
        """
        socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.SUB)
        socket.set(zmq.RCVHWM, 2)
        socket.set(zmq.LINGER, 0)
        socket.subscribe(b"")
        try:
            socket.connect(address)
        except zmq.ZMQError as error:
            socket.close()
            raise CameraError(f"camera source {address!r}: {error}") from error
        return cls(socket)

    def read(self, timeout: float) -> Frame | None:
        if not self._socket.poll(int(1000 * timeout)):
            return None
        parts = self._socket.recv_multipart()
        while self._socket.poll(0):
            parts = self._socket.recv_multipart()
        frame = unpack_frame(parts)
        self._frozen.check(frame)
        return frame

    def close(self) -> None:
        self._socket.close()
