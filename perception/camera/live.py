"""Frames of running cameras: V4L2 devices, network streams, pipes.

A camera that fails is tried again for as long as the source is open, ever more rarely: a read that
fails now and then costs a frame, and a camera that is absent at the start is waited for.
"""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from inhand.perception.camera.frame_clock import FrameClock
from inhand.perception.camera.properties import apply_settings
from inhand.perception.camera.settings import DeviceSettings
from inhand.perception.camera.sources import Frame, FrozenPicture
from inhand.perception.cameras import CameraError
from inhand.perception.errors import PerceptionError
from inhand.perception.pictures import to_color, to_grey
from inhand.perception.tags import Image

FAILURES = 5
"""Number of failed reads in a row after which the camera is opened again."""

PAUSE, LONGEST_PAUSE = 0.1, 3.0
"""First and longest pause before the camera is opened again [s]; it doubles each time."""

READ_PAUSE = 0.02
"""Pause after a failed read [s]."""

STUCK = 20.0
"""Time in one call of the driver after which it does not return by itself [s]."""

OPEN_TIMEOUT, READ_TIMEOUT = 5000, 3000
"""Time-outs of network streams [ms]."""

STREAM_OPTIONS = "rtsp_transport;tcp|fflags;nobuffer|flags;low_delay"
"""FFmpeg's options for streams, unless the environment has others."""

Opener = Callable[[], cv2.VideoCapture]

Result = TypeVar("Result")


class StuckError(CameraError):
    """A driver's call does not return: only a new process helps."""


class LiveSource:
    """A camera, read by its own thread so that no frame waits in a queue.

    Time stamps are those of the driver if it stamps frames by a known clock, and otherwise those of
    the arrival. `inhand calibrate latency` measures the remaining delay.

    Args:
        name: of the camera, for messages.
        opener: opens the device.
        size: width and height to request [px].
        settings: what else to request.
        stuck: time in one call after which the source fails for good [s].
        device: whether it is a device of this machine, and no stream. Its driver may stamp frames,
            and equal frames show that it has frozen, as a sensor has noise; video codecs repeat
            frames of a scene at rest to the bit.
    """

    def __init__(
        self,
        name: str,
        opener: Opener,
        size: tuple[int, int],
        settings: DeviceSettings,
        stuck: float = STUCK,
        device: bool = True,
        color: bool = False,
    ) -> None:
        self._name, self._opener = name, opener
        self._size, self._settings, self._stuck = size, settings, stuck
        self._frozen = FrozenPicture() if device else None
        self._color = color
        self._clock = FrameClock()
        self._news = threading.Condition()
        self._newest: Frame | None = None
        self._problem = ""
        self._differ: list[str] = []
        self._called: float | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"camera {name}", daemon=True)

    @classmethod
    def open(
        cls,
        name: str,
        opener: Opener,
        size: tuple[int, int],
        settings: DeviceSettings,
        stuck: float = STUCK,
        device: bool = True,
        color: bool = False,
    ) -> Self:
        """Starts to open and to read the camera; the arguments are those of the class."""
        source = cls(name, opener, size, settings, stuck, device, color)
        source._thread.start()
        return source

    @property
    def note(self) -> str:
        """What is not as it was asked for, and what is known of the time stamps."""
        return "; ".join([*self._differ, *([self._clock.note] if self._clock.note else [])])

    def read(self, timeout: float) -> Frame | None:
        """The newest frame that was not returned yet; None if none comes within `timeout` [s].

        Raises:
            CameraError: the camera has failed or is absent. It is tried again meanwhile.
            StuckError: its driver does not return.
        """
        with self._news:
            self._news.wait_for(lambda: self._newest is not None, timeout)
            frame, self._newest = self._newest, None
            problem, called = self._problem, self._called
        if frame is not None:
            if self._frozen is not None:
                self._frozen.check(frame)
            return frame
        if called is not None and time.monotonic() - called > self._stuck:
            raise StuckError(
                f"camera {self._name}: its driver has not answered for "
                f"{time.monotonic() - called:.0f} s"
            )
        if problem:
            raise CameraError(f"camera {self._name}: {problem}")
        return None

    def close(self) -> None:
        """Ends the thread; one whose driver does not return is left alone."""
        self._stop.set()
        self._thread.join(timeout=1.0)

    def _run(self) -> None:
        """Opens the camera and reads it, again and again."""
        pause = PAUSE
        while not self._stop.is_set():
            before = time.monotonic()
            try:
                self._drain()
            except Exception as error:
                # Whatever a driver does, the thread must go on, or the camera is lost for good.
                with self._news:
                    self._problem = str(error)
            # A camera that had worked for a while is opened again at once.
            pause = (
                PAUSE
                if time.monotonic() - before > LONGEST_PAUSE
                else min(2 * pause, LONGEST_PAUSE)
            )
            self._stop.wait(pause)

    def _drain(self) -> None:
        """Opens the camera, reads every frame as soon as it comes, and keeps the newest."""
        device = self._timed(self._opener)
        try:
            self._differ = self._timed(lambda: apply_settings(device, self._size, self._settings))
            self._clock = FrameClock()
            failures = 0
            while not self._stop.is_set():
                found, image = self._timed(device.read)
                problem = "it gives no more frames"
                if found:
                    told = device.get(cv2.CAP_PROP_POS_MSEC) / 1000 if self._frozen else 0.0
                    t = self._clock.stamp(float(told))
                    try:
                        self._publish(t, decoded(image, color=self._color))
                        failures = 0
                        continue
                    except PerceptionError as error:
                        problem = str(error)
                failures += 1
                if failures >= FAILURES:
                    raise CameraError(f"{problem}; it is being opened again")
                self._stop.wait(READ_PAUSE)
        finally:
            device.release()

    def _publish(self, t: float, image: Image) -> None:
        with self._news:
            self._problem = ""
            self._newest = Frame(t, image)
            self._news.notify()

    def _timed(self, call: Callable[[], Result]) -> Result:
        """Calls the driver, which may never return."""
        with self._news:
            self._called = time.monotonic()
        try:
            return call()
        finally:
            with self._news:
                self._called = None


def decoded(image: NDArray[np.generic], *, color: bool = False) -> Image:
    """A frame as OpenCV delivers it, as 8-bit grey or RGB; raw MJPEG is decoded.

    Raises:
        PerceptionError: it is of no known form.
    """
    values = np.asarray(image)
    if (
        values.dtype == np.uint8
        and min(values.shape[:2]) == 1
        and bytes(values.ravel()[:2]) == b"\xff\xd8"
    ):
        kind = cv2.IMREAD_COLOR if color else cv2.IMREAD_GRAYSCALE
        found = cv2.imdecode(values.ravel(), kind)
        if found is None:
            raise PerceptionError("a frame is no complete JPEG")
        values = np.asarray(found, dtype=np.uint8)
    return to_color(values) if color else to_grey(values)


def v4l2(path: str) -> Opener:
    """Opens a device, `/dev/videoN` or a stable name such as `/dev/v4l/by-id/…`."""

    def open_device() -> cv2.VideoCapture:
        if not Path(path).exists():
            raise CameraError("no such device; is it plugged in?")
        device = cv2.VideoCapture(path, cv2.CAP_V4L2)
        if not device.isOpened():
            raise CameraError(
                "it cannot be opened; is it a camera, free, and may this user read it (group "
                "video)?"
            )
        # One frame: an older one would wait in the driver's queue.
        device.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        return device

    return open_device


def stream(url: str) -> Opener:
    """Opens a network stream, or a named pipe, with FFmpeg."""

    def open_stream() -> cv2.VideoCapture:
        # FFmpeg's own buffer would make frames older: 7 ms at 30 frames a second.
        os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", STREAM_OPTIONS)
        limits = [
            *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, OPEN_TIMEOUT),
            *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, READ_TIMEOUT),
        ]
        device = cv2.VideoCapture(url, cv2.CAP_FFMPEG, limits)
        if not device.isOpened():
            raise CameraError(
                "the stream cannot be opened; is its server up, and the address right?"
            )
        return device

    return open_stream


def pipeline(description: str) -> Opener:
    """Opens a GStreamer pipeline that ends in an appsink.

    Raises:
        CameraError: this OpenCV has no GStreamer.
    """
    if cv2.CAP_GSTREAMER not in cv2.videoio_registry.getBackends() or not has_gstreamer():
        raise CameraError(
            f"camera source 'gst:{description}': this OpenCV is built without GStreamer, as those "
            "from PyPI are; give a URL (rtsp://, http://), or build OpenCV with GStreamer"
        )

    def open_pipeline() -> cv2.VideoCapture:
        device = cv2.VideoCapture(description, cv2.CAP_GSTREAMER)
        if not device.isOpened():
            raise CameraError("the pipeline does not start; does gst-launch-1.0 run it?")
        return device

    return open_pipeline


def has_gstreamer() -> bool:
    """Whether this OpenCV has GStreamer."""
    lines = cv2.getBuildInformation().splitlines()
    return any("GStreamer:" in line and "YES" in line for line in lines)
