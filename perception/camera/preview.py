"""Preview images of a camera: encoded only while there are subscribers, dropped for slow ones."""

from contextlib import suppress
from typing import Self

import cv2
import msgspec
import numpy as np
import zmq

from inhand.perception.camera.sources import Frame
from inhand.perception.cameras import CameraError
from inhand.perception.records import TagCorners

TOPIC = b"image"

RATE = 20.0
"""Largest rate of preview images [Hz]."""

_QUALITY = 80


class ImageHeader(msgspec.Struct, frozen=True):
    """Header of a preview message (JSON): its second part, after the topic; the third is a JPEG.

    Attributes:
        camera: name of the camera in the rig.
        t: capture time of the frame [s].
        ids: detected tags.
        corners: of each tag [px], four each, clockwise from the top left of the official picture.
        vertices: that a network found: two coordinates and a deviation [px]; empty without.
    """

    camera: str
    t: float
    ids: list[int]
    corners: list[list[tuple[float, float]]]
    vertices: list[tuple[float, float, float]] = []


decode_header = msgspec.json.Decoder(ImageHeader).decode


class Preview:
    """The socket that publishes the preview images of one camera.

    Args:
        socket: a bound XPUB socket.
    """

    def __init__(self, socket: "zmq.Socket[bytes]") -> None:
        self._socket = socket
        self._topics: set[bytes] = set()
        self._next = 0.0

    @classmethod
    def open(cls, address: str) -> Self:
        """Binds the socket.

        Raises:
            CameraError: the address cannot be bound.
        """
        socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.XPUB)
        socket.set(zmq.SNDHWM, 2)
        socket.set(zmq.LINGER, 0)
        try:
            socket.bind(address)
        except zmq.ZMQError as error:
            socket.close()
            raise CameraError(f"image socket {address}: {error}") from error
        return cls(socket)

    @property
    def watched(self) -> bool:
        """Whether there is a subscriber."""
        self._update_topics()
        return bool(self._topics)

    def offer(self, frame: Frame, seen: TagCorners) -> None:
        """Publishes a frame and its tags, if there is a subscriber."""
        if frame.t < self._next or not self.watched:
            return
        self._next = frame.t + 0.9 / RATE
        image = frame.image
        if image.ndim == 3:
            image = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2BGR), dtype=np.uint8)
        _, jpeg = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, _QUALITY))
        header = {"camera": seen.camera, "t": seen.t, "ids": seen.ids}
        header["corners"] = seen.corners.tolist()
        header["vertices"] = [] if seen.vertices is None else seen.vertices.tolist()
        with suppress(zmq.Again):
            parts = [TOPIC, msgspec.json.encode(header), jpeg.tobytes()]
            self._socket.send_multipart(parts, zmq.NOBLOCK)

    def close(self) -> None:
        """Closes the socket."""
        self._socket.close()

    def _update_topics(self) -> None:
        """Reads subscriptions: XPUB reports a topic's first subscriber and the end of the last."""
        with suppress(zmq.Again):
            while message := self._socket.recv(zmq.NOBLOCK):
                topic = message[1:]
                (self._topics.add if message[0] else self._topics.discard)(topic)
