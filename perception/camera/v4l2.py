"""Frames of a V4L2 camera, /dev/videoN.

The tests run without such a device: docs/perception.md lists what is untested.
"""

import threading
import time
from pathlib import Path
from typing import Self

import cv2
import numpy as np

from inhand.perception.camera.sources import Frame, FrozenPicture
from inhand.perception.cameras import CameraError

STAMP_TOLERANCE = 1.0
"""Largest difference between a driver's time stamp and CLOCK_MONOTONIC [s]."""


class V4l2Source:
    """A camera device, read by its own thread so that no frame waits in the driver's queue.

    Time stamps are the driver's, in CLOCK_MONOTONIC: depending on the driver, the arrival of the
    frame or the start of its exposure. `inhand calibrate latency` measures the remaining delay.

    Args:
        path: of the device, for messages.
        device: the open device.
    """

    def __init__(self, path: str, device: cv2.VideoCapture) -> None:
        self._path, self._device = path, device
        self._frozen = FrozenPicture()
        self._news = threading.Condition()
        self._newest: Frame | None = None
        self._problem = ""
        self._open = True
        self._thread = threading.Thread(target=self._drain, daemon=True)

    @classmethod
    def open(cls, path: str, size: tuple[int, int]) -> Self:
        """Opens a device and starts to read it.

        Args:
            path: of the device.
            size: width and height to request [px].

        Raises:
            CameraError: there is no such device, or it cannot be opened.
        """
        if not Path(path).exists():
            raise CameraError(f"camera {path}: no such device; is it plugged in?")
        device = cv2.VideoCapture(path, cv2.CAP_V4L2)
        if not device.isOpened():
            raise CameraError(
                f"camera {path} cannot be opened; is it a camera, free, and may this user read it "
                "(group video)?"
            )
        device.set(cv2.CAP_PROP_FRAME_WIDTH, size[0])
        device.set(cv2.CAP_PROP_FRAME_HEIGHT, size[1])
        device.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        source = cls(path, device)
        source._thread.start()
        return source

    def read(self, timeout: float) -> Frame | None:
        with self._news:
            self._news.wait_for(lambda: self._newest is not None or self._problem, timeout)
            frame, self._newest = self._newest, None
            problem = self._problem
        if problem:
            raise CameraError(f"camera {self._path}: {problem}")
        if frame is not None:
            self._frozen.check(frame)
        return frame

    def close(self) -> None:
        self._open = False
        self._thread.join()
        self._device.release()

    def _drain(self) -> None:
        """Reads every frame as soon as it comes and keeps the newest."""
        while self._open and not self._problem:
            found, image = self._device.read()
            t = self._device.get(cv2.CAP_PROP_POS_MSEC) / 1000
            problem = ""
            if not found:
                problem = "the device gives no more frames; plug it in again"
            elif abs(time.monotonic() - t) > STAMP_TOLERANCE:
                problem = (
                    f"the driver stamps frames {t:.3f} s at {time.monotonic():.3f} s of "
                    "CLOCK_MONOTONIC, so that the time of a pose is unknown; use another driver"
                )
            with self._news:
                self._problem = problem
                if not problem:
                    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
                    self._newest = Frame(t, np.asarray(grey, dtype=np.uint8))
                self._news.notify()
