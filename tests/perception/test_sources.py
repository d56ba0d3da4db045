"""Frames from a publisher and from a folder."""

import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import zmq

from perception.cameras import CameraError
from perception.sources import (
    FolderSource,
    Frame,
    RenderedSource,
    open_source,
    pack_frame,
    unpack_frame,
)


class Time:
    """A clock that only sleeping moves."""

    now = 100.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize("shape", [(24, 32), (24, 32, 3)])
def test_a_frame_survives_the_wire(shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    received = unpack_frame(pack_frame(Frame(2.25, image), 7))
    assert received.t == 2.25
    np.testing.assert_array_equal(received.image, image)


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [b"{}"],
        [b"{}", b""],
        [b"garbage", b"\0" * 12],
        [b'{"t":0,"seq":0,"width":4,"height":4}', b"\0" * 15],
        [b'{"t":0,"seq":0,"width":0,"height":4}', b""],
        [b'{"t":0,"seq":0,"width":-4,"height":-4}', b"\0" * 16],
        [b'{"t":0,"seq":0,"width":4,"height":4}', b"\0" * 16, b""],
    ],
)
def test_a_broken_frame_message_is_refused(parts: list[bytes]) -> None:
    with pytest.raises(CameraError, match="malformed frame"):
        unpack_frame(parts)


def test_of_several_published_frames_the_newest_is_read(tmp_path: Path) -> None:
    address = f"ipc://{tmp_path}/camera.sock"
    with zmq.Context() as context, context.socket(zmq.PUB) as publisher:
        publisher.bind(address)
        source = open_source(address)
        assert isinstance(source, RenderedSource)
        image = np.zeros((4, 4), np.uint8)
        assert source.read(0.05) is None
        for seq in range(5):
            publisher.send_multipart(pack_frame(Frame(float(seq), image), seq))
        time.sleep(0.1)
        frame = source.read(0.5)
        source.close()
    assert frame is not None
    # The queue holds two: of five frames that nobody fetched, an old one may be all there is,
    # but never the first.
    assert frame.t >= 1.0


def write_images(folder: Path, times: list[float]) -> None:
    for level, t in enumerate(times):
        image = np.full((4, 6, 3), 10 * level, np.uint8)
        image[..., 0] = 255  # blue, as OpenCV writes it
        cv2.imwrite(str(folder / f"{t:.3f}.png"), image)


def test_a_folder_is_replayed_at_its_own_pace(image_folder: Path) -> None:
    write_images(image_folder, [5.0, 5.1, 5.3])
    time = Time()
    source = FolderSource(image_folder, time.clock, time.sleep)
    stamps, arrivals = [], []
    while not source.finished:
        frame = source.read(1.0)
        if frame is not None:
            stamps.append(frame.t)
            arrivals.append(time.now)
            assert frame.image.shape == (4, 6, 3)
            assert frame.image[0, 0, 2] == 255
    np.testing.assert_allclose(stamps, [100.0, 100.1, 100.3])
    np.testing.assert_allclose(arrivals, stamps)
    assert source.read(0.5) is None
    assert time.now == pytest.approx(100.8)


def test_a_slow_reader_of_a_folder_sees_the_newest(image_folder: Path) -> None:
    write_images(image_folder, [0.0, 0.1, 0.2, 0.3])
    time = Time()
    source = FolderSource(image_folder, time.clock, time.sleep)
    first = source.read(1.0)
    time.now += 0.25
    second = source.read(1.0)
    assert first is not None and second is not None
    assert first.t == pytest.approx(100.0) and second.t == pytest.approx(100.2)


def test_a_folder_that_cannot_be_replayed_is_refused(image_folder: Path) -> None:
    with pytest.raises(CameraError, match="no PNG or JPEG"):
        open_source(str(image_folder))
    (image_folder / "holiday.png").write_bytes(b"")
    with pytest.raises(CameraError, match="capture times"):
        open_source(str(image_folder))
    (image_folder / "holiday.png").rename(image_folder / "1.000.png")
    with pytest.raises(CameraError, match="cannot be read"):
        open_source(str(image_folder)).read(0.1)


@pytest.mark.parametrize("address", ["/dev/video99", "nowhere", ""])
def test_an_address_of_nothing_is_refused(address: str) -> None:
    with pytest.raises(CameraError, match="neither"):
        open_source(address)
