"""Opens a camera source by its address in the configuration."""

from pathlib import Path

from inhand.perception.camera.file_sources import VIDEO_SUFFIXES, FolderSource, VideoSource
from inhand.perception.camera.sources import RenderedSource, Source
from inhand.perception.camera.v4l2 import V4l2Source
from inhand.perception.cameras import CameraError


def open_source(address: str, size: tuple[int, int]) -> Source:
    """Opens a source by its address.

    Args:
        address: `ipc://` or `tcp://` of a renderer, `/dev/videoN`, a folder of images or a video.
        size: width and height to request from a device [px].

    Raises:
        CameraError: the address is of no known kind, or the source cannot be opened.
    """
    if address.startswith(("ipc://", "tcp://")):
        return RenderedSource.open(address)
    if address.startswith("/dev/"):
        return V4l2Source.open(address, size)
    if address and Path(address).is_dir():
        return FolderSource(Path(address))
    if Path(address).suffix in VIDEO_SUFFIXES and Path(address).is_file():
        return VideoSource.open(Path(address))
    raise CameraError(
        f"camera source {address!r} is neither an ipc:// or tcp:// address, a device /dev/videoN, "
        "a folder of images nor a video file"
    )
