"""Recorded frames, replayed at their recorded rate: a folder of images, or a video."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import cv2
import numpy as np

from inhand.perception.camera.sources import Frame
from inhand.perception.cameras import CameraError
from inhand.perception.tags import Image

VIDEO_SUFFIXES = (".mp4", ".mkv", ".avi", ".mov")


class FolderSource:
    """Recorded frames: images named by their capture time in seconds, `12.066667.png`.

    Frames are replayed in real time. Times are shifted so that the first frame is captured at the
    first `read`. If several frames are due, only the newest is returned.

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
        image = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
        if image is None:
            raise CameraError(f"image {path} cannot be read; is the file complete?")
        return Frame(t + self._shift, np.asarray(image, dtype=np.uint8))

    def close(self) -> None:
        """Does nothing: no file stays open between frames."""


class VideoSource:
    """A video file; frames have the time stamps of the file.

    Replayed like `FolderSource`.

    Args:
        video: the open file, before its first frame.
        clock: current time [s].
        sleep: waits for a number of seconds.
    """

    def __init__(
        self, video: cv2.VideoCapture, clock: Callable[[], float], sleep: Callable[[float], None]
    ) -> None:
        self._video = video
        self._clock, self._sleep = clock, sleep
        self._shift: float | None = None
        self._next = self._decode()

    @classmethod
    def open(
        cls,
        path: Path,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> Self:
        """Opens a file; the other arguments are those of the class.

        Raises:
            CameraError: the file has no frame that can be read.
        """
        source = cls(cv2.VideoCapture(str(path), cv2.CAP_FFMPEG), clock, sleep)
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
        grey: Image = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), dtype=np.uint8)
        return Frame(t, grey)
