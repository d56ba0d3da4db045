"""Opens a camera source by its address in the configuration."""

from pathlib import Path

from inhand.perception.camera import live
from inhand.perception.camera.file_sources import VIDEO_SUFFIXES, FolderSource, VideoSource
from inhand.perception.camera.settings import DeviceSettings
from inhand.perception.camera.sources import RenderedSource, Source
from inhand.perception.cameras import CameraError

STREAMS = ("rtsp://", "rtsps://", "rtmp://", "http://", "https://", "udp://", "srt://")
"""Beginnings of the addresses of network streams."""


def open_source(
    address: str,
    size: tuple[int, int],
    settings: DeviceSettings | None = None,
    *,
    color: bool = False,
) -> Source:
    """Opens a source by its address.

    A device or stream that is absent is waited for: reading it says so.

    Args:
        address: `ipc://` or `tcp://` of a renderer, `/dev/videoN`, a URL of a stream, `gst:` and a
            GStreamer pipeline, a named pipe, a folder of images or a video.
        size: width and height to request from a device [px].
        settings: what else to request from a device.
        color: whether frames are wanted in RGB, where the source has colours; grey frames of a
            device, a stream or a video take less time.

    Raises:
        CameraError: the address is of no known kind, or a file cannot be read.
    """
    settings = settings or DeviceSettings()
    if settings.problem:
        raise CameraError(f"camera source {address!r}: {settings.problem}")
    if address.startswith(("ipc://", "tcp://")):
        return RenderedSource.open(address)
    opener = None
    if address.startswith("/dev/"):
        opener = live.v4l2(address)
    elif address.lower().startswith(STREAMS):
        opener = live.stream(address)
    elif address.startswith("gst:"):
        opener = live.pipeline(address.removeprefix("gst:").strip())
    elif address and Path(address).is_fifo():
        opener = live.stream(address)
    if opener is not None:
        device = address.startswith("/dev/")
        return live.LiveSource.open(address, opener, size, settings, device=device, color=color)
    if address and Path(address).is_dir():
        return FolderSource(Path(address))
    if Path(address).suffix.lower() in VIDEO_SUFFIXES and Path(address).is_file():
        return VideoSource.open(Path(address), color=color)
    if address.isdecimal():
        raise CameraError(f"camera source {address!r}: a device is named /dev/video{address}")
    if "://" not in address and "/" in address and not Path(address).exists():
        raise CameraError(f"camera source {address!r}: there is no such file or folder")
    raise CameraError(
        f"camera source {address!r} is neither an ipc:// or tcp:// address, a device /dev/videoN, "
        "a stream like rtsp:// or http://, a GStreamer pipeline gst:…, a folder of images nor a "
        "video file"
    )
