"""A camera's pictures for people: made only while somebody looks, and dropped if he is slow."""

from contextlib import suppress

import cv2
import msgspec
import numpy as np
import zmq

from inhand.perception.camera.sources import Frame
from inhand.perception.cameras import CameraError
from inhand.perception.records import TagCorners

TOPIC = b"image"

RATE = 20.0
"""Pictures a second at most, however fast the camera is [Hz]."""

_QUALITY = 80


class ImageHeader(msgspec.Struct, frozen=True):
    """Second part of a picture on the wire (JSON), after the topic; the third is a JPEG.

    Attributes:
        camera: name of the camera in the rig.
        t: when the picture was taken [s].
        ids: tags that were found on it.
        corners: theirs [px], four each, clockwise from the top left of the tag.
    """

    camera: str
    t: float
    ids: list[int]
    corners: list[list[tuple[float, float]]]


decode_header = msgspec.json.Decoder(ImageHeader).decode


class Preview:
    """The socket that one camera's pictures are published on."""

    def __init__(self, address: str) -> None:
        """Binds the socket.

        Raises:
            CameraError: it cannot be made there.
        """
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.XPUB)
        self._socket.set(zmq.SNDHWM, 2)
        self._socket.set(zmq.LINGER, 0)
        self._topics: set[bytes] = set()
        self._next = 0.0
        try:
            self._socket.bind(address)
        except zmq.ZMQError as error:
            raise CameraError(f"image socket {address}: {error}") from error

    @property
    def watched(self) -> bool:
        """Whether somebody looks."""
        self._listen()
        return bool(self._topics)

    def offer(self, frame: Frame, seen: TagCorners) -> None:
        """Publishes a picture and what was found on it, if somebody looks."""
        if frame.t < self._next or not self.watched:
            return
        self._next = frame.t + 0.9 / RATE
        image = frame.image
        if image.ndim == 3:
            image = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2BGR), dtype=np.uint8)
        _, jpeg = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, _QUALITY))
        header = {"camera": seen.camera, "t": seen.t, "ids": seen.ids}
        header["corners"] = seen.corners.tolist()
        with suppress(zmq.Again):
            parts = [TOPIC, msgspec.json.encode(header), jpeg.tobytes()]
            self._socket.send_multipart(parts, zmq.NOBLOCK)

    def close(self) -> None:
        """Closes the socket."""
        self._socket.close()

    def _listen(self) -> None:
        """Takes note of who came and who went: XPUB tells of the first and the last of them."""
        with suppress(zmq.Again):
            while message := self._socket.recv(zmq.NOBLOCK):
                topic = message[1:]
                (self._topics.add if message[0] else self._topics.discard)(topic)
