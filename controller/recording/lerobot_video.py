"""The videos of a LeRobot data set: for each frame, the newest picture of each camera."""

from base64 import b64decode
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from inhand.controller.recording.reader import Recording
from inhand.controller.system.realtime import restore_scheduling, scheduling
from inhand.hardware.records import Array

CODEC = "libsvtav1"
"""AV1, as LeRobot's own recorder writes it."""

_SAMPLED = 10
"""One of so many pictures enters the statistics."""

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Video:
    """What the data set says of a video.

    Attributes:
        feature: its entry in `info.json`.
        statistics: its entry in `stats.json`: of each colour, 0 to 1.
    """

    feature: dict[str, Any]
    statistics: dict[str, Any]


class _Writer:
    """One MP4 file.

    Args:
        path: the file.
        first: the camera's first picture (JPEG).
        instants: when each frame is to be shown [s since 1970].
        rate: frames a second.
    """

    def __init__(self, path: Path, first: bytes, instants: Array, rate: int) -> None:
        self._path, self._instants = path, instants
        self._picture = _decode(first)
        self._rate, self._written = rate, 0
        self._sampled: list[Array] = []

    def open(self) -> None:
        """Begins the file."""
        self._path.parent.mkdir(parents=True)
        self._container = av.open(str(self._path), "w")
        options = {"g": "2", "crf": "30"}
        stream = self._container.add_stream(CODEC, rate=self._rate, options=options)
        assert isinstance(stream, av.VideoStream)
        self._stream = stream
        self._stream.height, self._stream.width = self._picture.shape[:2]
        self._stream.pix_fmt = "yuv420p"
        # Run as root, the encoder gives its threads, and this one, a real-time priority: a hand on
        # this machine would lose ticks to it.
        before = scheduling()
        self._stream.codec_context.open()
        restore_scheduling(before)

    def take(self, stamp: float, jpeg: bytes) -> None:
        """A picture, taken at `stamp` [s since 1970]: earlier frames show the one before."""
        end = int(np.searchsorted(self._instants, stamp))
        self._show(end - self._written)
        self._picture = _decode(jpeg)

    def _show(self, times: int) -> None:
        for _ in range(times):
            frame = av.VideoFrame.from_ndarray(self._picture, format="rgb24")
            frame.pts = self._written
            self._container.mux(self._stream.encode(frame))
            if self._written % _SAMPLED == 0:
                self._sampled.append(self._picture.reshape(-1, 3) / 255.0)
            self._written += 1

    def finish(self) -> Video:
        """Shows the last picture to the end."""
        self._show(len(self._instants) - self._written)
        self._container.mux(self._stream.encode())
        height, width, channels = self._picture.shape
        info = {
            "video.height": height,
            "video.width": width,
            "video.codec": "av1",
            "video.pix_fmt": "yuv420p",
            "video.is_depth_map": False,
            "video.fps": self._rate,
            "video.channels": channels,
            "has_audio": False,
        }
        feature = {
            "dtype": "video",
            "shape": [height, width, channels],
            "names": ["height", "width", "channels"],
            "info": info,
        }
        colours = np.concatenate(self._sampled)
        statistics = {
            name: getattr(colours, name)(axis=0).reshape(3, 1, 1).tolist()
            for name in ("min", "max", "mean", "std")
        }
        return Video(feature, {**statistics, "count": [len(self._sampled)]})

    def close(self) -> None:
        self._container.close()


def write_videos(
    recording: Recording, folder: Path, instants: Array, rate: int
) -> dict[str, Video]:
    """Writes a video of each camera that was recorded.

    Args:
        recording: where the pictures are.
        folder: of the data set.
        instants: when each frame is to be shown [s since 1970], (n,), rising.
        rate: frames a second.

    Returns:
        The videos by the name of their feature.
    """
    writers: dict[str, _Writer] = {}
    with ExitStack() as files:
        for camera, stamp, jpeg in _pictures(recording):
            name = f"observation.images.{camera}"
            if name not in writers:
                path = folder / f"videos/{name}/chunk-000/file-000.mp4"
                writers[name] = _Writer(path, jpeg, instants, rate)
                writers[name].open()
                files.callback(writers[name].close)
            writers[name].take(stamp, jpeg)
        return {name: writer.finish() for name, writer in writers.items()}


def _pictures(recording: Recording) -> Iterator[tuple[str, float, bytes]]:
    """Camera, time [s since 1970] and JPEG of each picture."""
    for topic, stamp, message in recording.messages():
        if topic.startswith("/image/"):
            yield topic.removeprefix("/image/"), stamp / 1e9, b64decode(message["data"])


def _decode(jpeg: bytes) -> Pixels:
    """The pixels of a JPEG, (height, width, 3), red first."""
    coded = np.frombuffer(jpeg, np.uint8)
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR_RGB), dtype=np.uint8)
