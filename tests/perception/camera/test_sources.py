"""Frames from a publisher and from a folder."""

import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import zmq

from inhand.perception.camera.file_sources import FolderSource, VideoSource
from inhand.perception.camera.open_source import open_source
from inhand.perception.camera.sources import (
    Frame,
    FrozenPicture,
    RenderedSource,
    pack_frame,
    unpack_frame,
)
from inhand.perception.cameras import CameraError

SIZE = (320, 240)


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
        source = open_source(address, SIZE)
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
    with pytest.raises(CameraError, match="holds no image"):
        open_source(str(image_folder), SIZE)
    (image_folder / "holiday.png").write_bytes(b"")
    with pytest.raises(CameraError, match="capture times"):
        open_source(str(image_folder), SIZE)
    (image_folder / "holiday.png").rename(image_folder / "1.000.png")
    with pytest.raises(CameraError, match="cannot be read"):
        open_source(str(image_folder), SIZE).read(0.1)


@pytest.mark.parametrize("address", ["nowhere", "nowhere.mp4", ""])
def test_an_address_of_no_known_kind_is_refused(address: str) -> None:
    with pytest.raises(CameraError, match="neither"):
        open_source(address, SIZE)


@pytest.mark.parametrize(
    ("address", "message"),
    [("0", "named /dev/video0"), ("films/left.mp4", "no such file or folder")],
)
def test_an_address_that_is_nearly_right_is_explained(address: str, message: str) -> None:
    with pytest.raises(CameraError, match=message):
        open_source(address, SIZE)


def test_a_device_that_is_not_there_is_refused() -> None:
    source = open_source("/dev/video99", SIZE)
    with pytest.raises(CameraError, match="/dev/video99: no such device"):
        source.read(5.0)
    source.close()


def write_video(path: Path, frames: int) -> None:
    """A video of 10 frames a second that grows lighter."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (64, 48))
    assert writer.isOpened()
    for k in range(frames):
        writer.write(np.full((48, 64, 3), 20 * k, np.uint8))
    writer.release()


@pytest.mark.alone
def test_a_video_is_replayed_at_its_pace(tmp_path: Path) -> None:
    write_video(tmp_path / "hand.avi", 5)
    time = Time()
    source = VideoSource.open(tmp_path / "hand.avi", time.clock, time.sleep)
    frames = []
    while not source.finished:
        frame = source.read(1.0)
        if frame is not None:
            frames.append((frame.t, time.now, float(frame.image.mean())))
    source.close()
    stamps, arrivals, grey = zip(*frames, strict=True)
    np.testing.assert_allclose(stamps, 100.0 + 0.1 * np.arange(5), atol=1e-6)
    np.testing.assert_allclose(arrivals, stamps, atol=1e-6)
    np.testing.assert_allclose(grey, 20.0 * np.arange(5), atol=2.0)


def test_a_slow_reader_of_a_video_sees_the_newest(tmp_path: Path) -> None:
    write_video(tmp_path / "hand.avi", 8)
    time = Time()
    source = VideoSource.open(tmp_path / "hand.avi", time.clock, time.sleep)
    assert source.read(1.0) is not None
    time.now += 0.45
    frame = source.read(1.0)
    assert frame is not None and frame.t == pytest.approx(100.4)


def test_a_file_that_is_no_video_is_refused(tmp_path: Path) -> None:
    (tmp_path / "hand.mp4").write_bytes(b"not a video")
    with pytest.raises(CameraError, match=r"hand\.mp4 cannot be read"):
        open_source(str(tmp_path / "hand.mp4"), SIZE)


def test_a_frozen_picture_is_reported_until_it_changes() -> None:
    rng = np.random.default_rng(0)
    frozen = FrozenPicture()
    image = rng.integers(0, 256, (24, 32), dtype=np.uint8)
    for k in range(10):
        frozen.check(Frame(k / 15, image.copy()))
    with pytest.raises(CameraError, match=r"frozen for 1\.1 s"):
        frozen.check(Frame(1.1, image.copy()))
    image[3, 4] ^= 1
    frozen.check(Frame(1.2, image))


def test_a_picture_of_one_colour_is_not_called_frozen() -> None:
    frozen = FrozenPicture()
    for t in (0.0, 1.0, 2.0):
        frozen.check(Frame(t, np.zeros((24, 32), dtype=np.uint8)))


@pytest.mark.parametrize(
    ("names", "apart"),
    [
        (["1700000000123456789", "1700000000223456789"], 0.1),
        (["1700000000123456", "1700000000223456"], 0.1),
        (["1700000000123", "1700000000223"], 0.1),
        (["1700000000.123456789", "1700000000.223456789"], 0.1),
        (["12", "13.5"], 1.5),
    ],
)
def test_names_of_every_unit_are_times(image_folder: Path, names: list[str], apart: float) -> None:
    for k, name in enumerate(names):
        cv2.imwrite(str(image_folder / f"{name}.BMP"), np.full((4, 6), 60 + k, np.uint8))
    time = Time()
    source = FolderSource(image_folder, time.clock, time.sleep)
    stamps = []
    while not source.finished:
        if (frame := source.read(5.0)) is not None:
            stamps.append(frame.t)
    assert stamps == pytest.approx([100.0, 100.0 + apart], abs=1e-6)


def test_a_video_may_have_capital_letters(tmp_path: Path) -> None:
    write_video(tmp_path / "hand.avi", 5)
    (tmp_path / "hand.avi").rename(tmp_path / "HAND.AVI")
    source = open_source(str(tmp_path / "HAND.AVI"), SIZE)
    assert source.read(1.0) is not None
    source.close()
