"""Preview images: only with subscribers, with tags, and without waiting for slow ones."""

import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import zmq

from inhand.perception.camera.preview import RATE, TOPIC, Preview, decode_header
from inhand.perception.camera.sources import Frame
from inhand.perception.cameras import CameraError
from inhand.perception.records import TagCorners, frozen_array

CORNERS = TagCorners(1.0, "left", (7,), frozen_array(np.arange(8).reshape(1, 4, 2)), 0.1)


@pytest.fixture
def preview(tmp_path: Path) -> Iterator[Preview]:
    preview = Preview.open(f"ipc://{tmp_path}/image-left.sock")
    yield preview
    preview.close()


@pytest.fixture
def reader(tmp_path: Path, preview: Preview) -> Iterator["zmq.Socket[bytes]"]:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    socket = context.socket(zmq.SUB)
    socket.connect(f"ipc://{tmp_path}/image-left.sock")
    yield socket
    context.destroy(linger=0)


def picture(t: float) -> Frame:
    image = np.zeros((24, 32, 3), np.uint8)
    image[..., 0] = 200
    return Frame(t, image)


def wait_for(preview: Preview, watched: bool) -> None:
    deadline = time.monotonic() + 120
    while preview.watched != watched:
        assert time.monotonic() < deadline
        # `zmq.select` without sockets returns at once, however long it is told to wait.
        time.sleep(0.01)


def test_subscribers_get_pictures_with_their_tags(
    preview: Preview, reader: "zmq.Socket[bytes]"
) -> None:
    preview.offer(picture(0.0), CORNERS)
    reader.set(zmq.SUBSCRIBE, TOPIC)
    wait_for(preview, watched=True)
    preview.offer(picture(1.0), CORNERS)
    preview.offer(picture(1.0 + 0.5 / RATE), CORNERS)
    topic, header, jpeg = reader.recv_multipart()
    assert topic == TOPIC
    read = decode_header(header)
    assert (read.camera, read.t, read.ids) == ("left", 1.0, [7])
    assert read.corners == [[(0, 1), (2, 3), (4, 5), (6, 7)]]
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert np.abs(image.astype(int) - picture(1.0).image).max() < 10
    assert not reader.poll(50), "the second picture came too soon"
    reader.set(zmq.UNSUBSCRIBE, TOPIC)
    wait_for(preview, watched=False)


def test_a_subscriber_that_does_not_read_delays_nothing(
    preview: Preview, reader: "zmq.Socket[bytes]"
) -> None:
    reader.set(zmq.RCVHWM, 1)
    reader.set(zmq.SUBSCRIBE, TOPIC)
    wait_for(preview, watched=True)
    for t in range(200):
        preview.offer(picture(float(t)), CORNERS)


def test_an_address_that_cannot_be_bound_is_named(tmp_path: Path) -> None:
    with pytest.raises(CameraError, match="no-such"):
        Preview.open(f"ipc://{tmp_path}/no-such/image.sock")
