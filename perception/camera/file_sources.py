"""Recorded frames, replayed at their recorded rate: a folder of images, or a video."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import cv2
import numpy as np

from inhand.perception.camera.sources import Frame
from inhand.perception.cameras import CameraError
from inhand.perception.errors import PerceptionError
from inhand.perception.pictures import is_picture, read_picture, to_color, to_grey
from inhand.perception.tags import Image

VIDEO_SUFFIXES = (".mp4", ".mkv", ".avi", ".mov", ".webm", ".m4v", ".mjpg", ".mjpeg")
"""Endings of video files, in lower case."""

UNITS = {15: 1e-3, 18: 1e-6, 21: 1e-9}
"""Unit of a time that is a whole number, by the most digits that it has [s]: names of pictures in
milliseconds, microseconds or nanoseconds since 1970."""


class FolderSource:
    """Recorded frames: images named by their capture time, `12.066667.png`.

    Times are in seconds; whole numbers of 12 digits or more are milliseconds, microseconds or
    nanoseconds.

    Frames are replayed in real time. Times are shifted so that the first frame is captured at the
    first `read`. If several frames are due, only the newest is returned.

    Args:
        folder: with images.
        clock: current time [s].
        sleep: waits for a number of seconds.
    """

    note = ""

    def __init__(
        self,
        folder: Path,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        paths = [path for path in folder.iterdir() if is_picture(path)]
        try:
            self._frames = sorted((capture_time(path.stem), path) for path in paths)
        except ValueError as error:
            raise CameraError(
                f"image folder {folder}: names must be capture times in seconds, such as "
                f"12.066667.png: {error}"
            ) from error
        if not self._frames:
            raise CameraError(f"image folder {folder} holds no image: PNG, JPEG, BMP or TIFF")
        self._clock = clock
        self._sleep = sleep
        self._next = 0
        self._shift: float | None = None

    @property
    def finished(self) -> bool:
        """Whether no frame is left."""
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
        return Frame(t + self._shift, _picture(path))

    def close(self) -> None:
        """Does nothing: no file stays open between frames."""


def capture_time(name: str) -> float:
    """The time that the name of a picture stands for [s].

    Raises:
        ValueError: it is no number.
    """
    if not name.isascii() or not name.isdigit() or len(name) < 12:
        return float(name)
    for digits, unit in UNITS.items():
        if len(name) <= digits:
            return int(name) * unit
    raise ValueError(f"{name} has too many digits for a time")


def _picture(path: Path) -> Image:
    """A picture in grey, or in RGB if it has 8-bit colours.

    Raises:
        CameraError: it cannot be read.
    """
    try:
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
        if (
            image is not None
            and image.dtype == np.uint8
            and image.ndim == 3
            and image.shape[2] == 3
        ):
            return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)
        return read_picture(path)
    except (PerceptionError, cv2.error) as error:
        raise CameraError(str(error)) from error


class VideoSource:
    """A video file; frames have the time stamps of the file.

    Replayed like `FolderSource`.

    Args:
        video: the open file, before its first frame.
        clock: current time [s].
        sleep: waits for a number of seconds.
        color: whether frames are RGB, and not grey.
    """

    note = ""

    def __init__(
        self,
        video: cv2.VideoCapture,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        color: bool = False,
    ) -> None:
        self._video, self._color = video, color
        self._clock, self._sleep = clock, sleep
        self._shift: float | None = None
        self._next = self._decode()

    @classmethod
    def open(
        cls,
        path: Path,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        color: bool = False,
    ) -> Self:
        """Opens a file; the other arguments are those of the class.

        Raises:
            CameraError: the file has no frame that can be read.
        """
        source = cls(cv2.VideoCapture(str(path), cv2.CAP_FFMPEG), clock, sleep, color)
        if source.finished:
            source.close()
            raise CameraError(f"video {path} cannot be read; is the file complete?")
        return source

    @property
    def finished(self) -> bool:
        """Whether no frame is left."""
        return self._next is None

    def read(self, timeout: float) -> Frame | None:
        now = self._clock()
        if self._shift is None:
            self._shift = now - (self._next.t if self._next else 0.0)
        wait = self._next.t + self._shift - now if self._next else timeout
        if wait > 0:
            self._sleep(min(wait, timeout))
            now = self._clock()
        newest = None
        while self._next and self._next.t + self._shift <= now:
            newest = Frame(self._next.t + self._shift, self._next.image)
            self._next = self._decode()
        return newest

    def close(self) -> None:
        self._video.release()

    def _decode(self) -> Frame | None:
        """The next frame, stamped with its time in the file [s]; None at the end."""
        found, image = self._video.read()
        if not found:
            return None
        t = self._video.get(cv2.CAP_PROP_POS_MSEC) / 1000
        return Frame(t, to_color(image) if self._color else to_grey(image))
