"""From the address of a source, as a configuration gives it, to the source."""

from pathlib import Path

from inhand.perception.camera.file_sources import VIDEO_SUFFIXES, FolderSource, VideoSource
from inhand.perception.camera.sources import RenderedSource, Source
from inhand.perception.camera.v4l2 import V4l2Source
from inhand.perception.cameras import CameraError


def open_source(address: str, size: tuple[int, int]) -> Source:
    """Opens a source by its address.

    Args:
        address: `ipc://` or `tcp://` of a renderer, `/dev/videoN`, a folder of images or a video.
        size: width and height that a device is asked for [px].

    Raises:
        CameraError: there is nothing of the kind at this address.
    """
    if address.startswith(("ipc://", "tcp://")):
        return RenderedSource(address)
    if address.startswith("/dev/"):
        return V4l2Source(address, size)
    if address and Path(address).is_dir():
        return FolderSource(Path(address))
    if Path(address).suffix in VIDEO_SUFFIXES and Path(address).is_file():
        return VideoSource(Path(address))
    raise CameraError(
        f"camera source {address!r} is neither an ipc:// or tcp:// address, a device /dev/videoN, "
        "a folder of images nor a video file"
    )
