"""Where frames come from: a simulated camera or a folder of images, behind one interface.

A source hands out the newest frame it has; frames that nobody fetched in time are dropped, so
that a slow reader sees the present and not a growing past.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import msgspec
import numpy as np
import zmq

from perception.cameras import CameraError
from perception.tags import Image


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture.

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
    """What a camera process reads from."""

    def read(self, timeout: float) -> Frame | None:
        """The newest frame not yet handed out; None if none comes within `timeout` [s].

        Raises:
            CameraError: what came is not a frame, or nothing will ever come.
        """

    def close(self) -> None:
        """Releases the device or socket."""


def open_source(address: str) -> Source:
    """Opens a source by its address: `ipc://` or `tcp://` of a renderer, or a folder.

    Raises:
        CameraError: there is nothing of the kind at this address.
    """
    if address.startswith(("ipc://", "tcp://")):
        return RenderedSource(address)
    if address and Path(address).is_dir():
        return FolderSource(Path(address))
    raise CameraError(
        f"camera source {address!r} is neither an ipc:// or tcp:// address nor a folder of images"
    )


def pack_frame(frame: Frame, seq: int) -> list[bytes]:
    """The two parts of a frame on the wire."""
    height, width = frame.image.shape[:2]
    header = FrameHeader(t=frame.t, seq=seq, width=width, height=height)
    return [msgspec.json.encode(header), np.ascontiguousarray(frame.image).tobytes()]


def unpack_frame(parts: list[bytes]) -> Frame:
    """Reads what `pack_frame` made, grey or RGB by the number of bytes.

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


class RenderedSource:
    """Frames of a simulated camera, published by the renderer.

    Args:
        address: ZMQ endpoint of the publisher.
    """

    def __init__(self, address: str) -> None:
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.SUB)
        self._socket.set(zmq.RCVHWM, 2)
        self._socket.set(zmq.LINGER, 0)
        self._socket.subscribe(b"")
        try:
            self._socket.connect(address)
        except zmq.ZMQError as error:
            self._socket.close()
            raise CameraError(f"camera source {address!r}: {error}") from error

    def read(self, timeout: float) -> Frame | None:
        if not self._socket.poll(int(1000 * timeout)):
            return None
        parts = self._socket.recv_multipart()
        while self._socket.poll(0):
            parts = self._socket.recv_multipart()
        return unpack_frame(parts)

    def close(self) -> None:
        self._socket.close()


class FolderSource:
    """Recorded frames: images named by their capture time in seconds, `12.066667.png`.

    Frames come at the pace of their names, as from a live camera, with times shifted so that
    the first was captured when it was asked for; one that was overtaken by the next before it was
    read is dropped.

    Args:
        folder: with PNG or JPEG images.
        clock: current time [s].
        sleep: waits for a number of seconds.
    """

    def __init__(
        self,
        folder: Path,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        paths = [p for p in folder.iterdir() if p.suffix in (".png", ".jpg", ".jpeg")]
        try:
            self._frames = sorted((float(path.stem), path) for path in paths)
        except ValueError as error:
            raise CameraError(
                f"image folder {folder}: names must be capture times in seconds, such as "
                f"12.066667.png: {error}"
            ) from error
        if not self._frames:
            raise CameraError(f"image folder {folder} holds no PNG or JPEG image")
        self._clock = clock
        self._sleep = sleep
        self._next = 0
        self._shift: float | None = None

    @property
    def finished(self) -> bool:
        """Whether every frame has been handed out or overtaken."""
        return self._next >= len(self._frames)

    def read(self, timeout: float) -> Frame | None:
        now = self._clock()
        if self._shift is None:
            self._shift = now - self._frames[0][0]
        wait = timeout
        if not self.finished:
            wait = self._frames[self._next][0] + self._shift - now
        if wait > 0:
            self._sleep(min(wait, timeout))
            now = self._clock()
        due = self._next
        while due < len(self._frames) and self._frames[due][0] + self._shift <= now:
            due += 1
        if due == self._next:
            return None
        self._next = due
        t, path = self._frames[due - 1]
        image = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
        if image is None:
            raise CameraError(f"image {path} cannot be read; is the file complete?")
        return Frame(t + self._shift, np.asarray(image, dtype=np.uint8))

    def close(self) -> None:
        """Nothing is held open between frames."""
