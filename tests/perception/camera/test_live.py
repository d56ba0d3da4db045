"""Cameras that fail, fall silent, come back, or deliver something else than was asked for."""

import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest

from inhand.perception.camera import live
from inhand.perception.camera.frame_clock import FrameClock
from inhand.perception.camera.live import LiveSource, StuckError
from inhand.perception.camera.open_source import open_source
from inhand.perception.camera.settings import DeviceSettings
from inhand.perception.camera.sources import Frame, Source
from inhand.perception.cameras import CameraError
from tests.perception.camera.mjpeg_server import MjpegServer

SIZE = (64, 48)
PATIENCE = 120.0


def frame_of(source: Source) -> Frame:
    """The next frame, however often the source says that there is none."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            if (frame := source.read(0.2)) is not None:
                return frame
        except StuckError:
            raise
        except CameraError:
            continue
    raise AssertionError("no frame")


def refusal_of(source: Source) -> str:
    """The next refusal."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            source.read(0.2)
        except CameraError as error:
            return str(error)
    raise AssertionError("no refusal")


@pytest.fixture
def server() -> Iterator[MjpegServer]:
    server = MjpegServer(SIZE)
    server.start()
    yield server
    server.stop()


def test_a_stream_that_ends_is_opened_again(server: MjpegServer) -> None:
    source = open_source(server.url, SIZE)
    first = frame_of(source)
    assert first.image.shape == (48, 64) and abs(first.t - time.monotonic()) < 60.0
    assert "stamped when they arrive" in source.note and "calibrate latency" in source.note
    server.stop()
    told = refusal_of(source)
    assert server.url in told and "stream cannot be opened" in told or "no more frames" in told
    server.start()
    assert frame_of(source).t > first.t
    # What was wrong is forgotten.
    for _ in range(3):
        frame_of(source)
    source.close()


def test_a_camera_that_is_absent_at_first_is_waited_for() -> None:
    server = MjpegServer(SIZE)
    server.start()
    server.stop()
    source = open_source(server.url, SIZE)
    assert "is its server up" in refusal_of(source)
    server.start()
    assert frame_of(source).image.shape == (48, 64)
    source.close()
    server.stop()


def write_video(path: Path, frames: int) -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30.0, SIZE)
    for k in range(frames):
        writer.write(np.random.default_rng(k).integers(0, 256, (48, 64, 3), dtype=np.uint8))
    writer.release()


def test_failing_reads_cost_no_processor(tmp_path: Path) -> None:
    """A real video as the stream: every open works, and its frames end at once.

    A device would be called frozen by a reader that is slow, and so sees only last frames.
    """
    path = tmp_path / "short.avi"
    write_video(path, 3)
    opened: list[float] = []
    reads = [0]

    class Counted:
        """A real capture whose reads are counted."""

        def __init__(self) -> None:
            self._capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)

        def read(self) -> object:
            reads[0] += 1
            return self._capture.read()

        def __getattr__(self, name: str) -> object:
            return getattr(self._capture, name)

    def opener() -> cv2.VideoCapture:
        opened.append(time.monotonic())
        return Counted()

    source = LiveSource.open("short", opener, SIZE, DeviceSettings(), device=False)
    spent, began = time.process_time(), time.monotonic()
    while len(opened) < 5:
        assert time.monotonic() - began < PATIENCE
        with suppress(CameraError):
            source.read(0.1)
    assert "it gives no more frames" in refusal_of(source)
    source.close()
    # Three frames and five failures each time; pauses between attempts grow.
    assert reads[0] <= 8 * 5
    assert time.process_time() - spent < 0.5 * (time.monotonic() - began)
    assert opened[4] - opened[3] > opened[1] - opened[0]


@pytest.mark.parametrize(
    "failed", [(False, None), (True, np.frombuffer(b"\xff\xd8 cut off", np.uint8)[None])]
)
def test_one_failed_read_costs_a_frame_and_not_the_camera(
    tmp_path: Path, failed: tuple[bool, object]
) -> None:
    path = tmp_path / "long.avi"
    write_video(path, 40)
    opened = [0]

    class Flaky:
        """A real capture that fails at every second read."""

        def __init__(self) -> None:
            self._capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
            self._turn = 0

        def read(self) -> tuple[bool, object]:
            self._turn += 1
            time.sleep(0.02)
            return failed if self._turn % 2 else self._capture.read()

        def __getattr__(self, name: str) -> object:
            return getattr(self._capture, name)

    def opener() -> cv2.VideoCapture:
        opened[0] += 1
        return Flaky()

    source = LiveSource.open("flaky", opener, SIZE, DeviceSettings())
    times = [frame_of(source).t for _ in range(8)]
    source.close()
    assert opened[0] == 1 and times == sorted(set(times))


def test_a_file_that_is_removed_and_put_back(tmp_path: Path) -> None:
    """As a device node that comes back after it was unplugged."""
    path, spare = tmp_path / "camera.avi", tmp_path / "spare.avi"
    write_video(spare, 20)
    shutil.copy(spare, path)
    source = LiveSource.open("camera", live.stream(str(path)), SIZE, DeviceSettings())
    frame_of(source)
    path.write_bytes(path.read_bytes()[:1000])
    refusal_of(source)
    path.unlink()
    assert "cannot be opened" in refusal_of(source) or "no more frames" in refusal_of(source)
    shutil.copy(spare, path)
    frame_of(source)
    source.close()


def test_a_driver_that_does_not_return_ends_the_source(tmp_path: Path) -> None:
    pipe = tmp_path / "camera"
    os.mkfifo(pipe)
    source = LiveSource.open("pipe", live.stream(str(pipe)), SIZE, DeviceSettings(), stuck=0.3)
    with pytest.raises(StuckError, match="camera pipe: its driver has not answered for"):
        frame_of(source)
    # Let the driver go.
    writer = os.open(pipe, os.O_WRONLY)
    os.close(writer)
    source.close()


def test_settings_are_read_back(server: MjpegServer) -> None:
    settings = DeviceSettings(size=(640, 480), rate=15.0, exposure=0.004, format="YUYV")
    source = open_source(server.url, SIZE, settings)
    frame_of(source)
    note = source.note
    source.close()
    assert "width 640 was asked for, the camera has 64" in note
    assert "exposure 4 ms was asked for" in note and "format YUYV was asked for" in note


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (DeviceSettings(exposure=5.0), "exposure = 5.0 s.*5 ms is 0.005"),
        (DeviceSettings(format="MJPEG"), "four letters"),
        (DeviceSettings(rate=0.0), "rate = 0.0 Hz"),
        (DeviceSettings(gain=-1.0), "gain = -1.0"),
        (DeviceSettings(size=(0, 480)), "size"),
    ],
)
def test_impossible_settings_are_refused(settings: DeviceSettings, message: str) -> None:
    with pytest.raises(CameraError, match=message):
        open_source("/dev/video0", SIZE, settings)


def clock(arrival: float = 1000.0, system: float = 1.7e9) -> FrameClock:
    return FrameClock(lambda: arrival, lambda: system)


def test_stamps_of_the_known_clocks_are_used() -> None:
    assert clock().stamp(999.97) == 999.97
    assert clock().stamp(1.7e9 - 0.03) == pytest.approx(999.97, abs=1e-6)
    monotonic, system, other = clock(), clock(), clock()
    assert (monotonic.stamp(1000.005), monotonic.note) == (1000.0, "")
    assert system.stamp(1.7e9) == 1000.0 and system.note == ""
    for told in (0.0, 12.5, 1001.0, 998.0, float("nan")):
        other = clock()
        assert other.stamp(told) == 1000.0
        assert other.kind == "arrival" and "calibrate latency" in other.note


def test_a_clock_is_kept() -> None:
    one = clock()
    one.stamp(5.0)
    # A stamp that happens to fit later does not make the times jump.
    assert one.stamp(999.9) == 1000.0 and one.kind == "arrival"


def test_gstreamer_is_refused_with_the_reason_where_there_is_none() -> None:
    if live.has_gstreamer():
        source = open_source("gst:videotestsrc ! videoconvert ! appsink", SIZE)
        frame_of(source)
        source.close()
        return
    with pytest.raises(CameraError, match="built without GStreamer.*rtsp://"):
        open_source("gst:videotestsrc ! appsink", SIZE)


def test_closing_ends_the_thread(server: MjpegServer) -> None:
    source = open_source(server.url, SIZE)
    frame_of(source)
    source.close()
    assert not [one for one in threading.enumerate() if one.name == f"camera {server.url}"]


def test_a_stream_of_a_scene_at_rest_is_not_called_frozen() -> None:
    still = np.random.default_rng(3).integers(0, 256, (48, 64), dtype=np.uint8)
    server = MjpegServer(SIZE, picture=lambda number: still)
    server.start()
    source = open_source(server.url, SIZE)
    first = frame_of(source)
    while (frame := frame_of(source)).t < first.t + 1.5:
        assert np.array_equal(frame.image, first.image)
    # The same from a sensor is a camera that has stopped.
    sensor = LiveSource.open("sensor", live.stream(server.url), SIZE, DeviceSettings())
    frame_of(sensor)
    assert "frozen for 1" in refusal_of(sensor)
    source.close()
    sensor.close()
    server.stop()
