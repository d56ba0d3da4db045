"""The cameras of this machine, and a look at what a source delivers."""

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec

from inhand.perception.camera.open_source import open_source
from inhand.perception.camera.settings import DeviceSettings
from inhand.perception.cameras import CameraError

FRAMES = 30
"""Number of frames that are looked at."""

PATIENCE = 5.0
"""Time after which a source counts as silent [s]."""


class VideoNode(msgspec.Struct, frozen=True):
    """A video device of this machine.

    A camera may have several: of a depth camera, one has the colours; of many webcams, the second
    has only metadata.

    Attributes:
        device: its file, `/dev/videoN`; N may change at each start.
        stable: a name that stays, the best for a configuration; empty if there is none.
        model: what the driver calls it.
        index: its number among the nodes of one camera.
    """

    device: str
    stable: str
    model: str
    index: int


class Look(msgspec.Struct, frozen=True):
    """What a source delivered.

    Attributes:
        size: width and height [px].
        rate: frames a second by their time stamps [Hz].
        note: what was not as asked for.
    """

    size: tuple[int, int]
    rate: float
    note: str


def video_nodes(root: Path = Path("/")) -> list[VideoNode]:
    """The video devices, by number.

    Args:
        root: directory in which `dev` and `sys` are.
    """
    stable: dict[str, str] = {}
    # The first that names a device counts: the port, then model and serial number, then the path.
    for folder in ("dev", "dev/v4l/by-id", "dev/v4l/by-path"):
        for link in sorted((root / folder).glob("*")):
            if link.is_symlink() and link.resolve().name.startswith("video"):
                stable.setdefault(link.resolve().name, "/" + str(link.relative_to(root)))
    found = [
        VideoNode(
            device=f"/dev/{node.name}",
            stable=stable.get(node.name, ""),
            model=_text(node / "name"),
            index=int(_text(node / "index") or 0),
        )
        for node in (root / "sys/class/video4linux").glob("video*")
    ]
    return sorted(found, key=lambda one: int(one.device.removeprefix("/dev/video")))


def look(address: str, settings: DeviceSettings, size: tuple[int, int] = (640, 480)) -> Look:
    """Opens a source and looks at some frames.

    Args:
        address: as in a configuration.
        settings: of the device.
        size: width and height to ask for if the settings have none [px].

    Raises:
        CameraError: it delivers no frames.
    """
    with closing(open_source(address, size, settings)) as source:
        stamps: list[float] = []
        end = time.monotonic() + PATIENCE
        problem = f"no frame within {PATIENCE:.0f} s"
        while len(stamps) < FRAMES and time.monotonic() < end:
            try:
                frame = source.read(0.2)
            except CameraError as error:
                problem = str(error)
                break
            if frame is not None:
                stamps.append(frame.t)
                height, width = frame.image.shape[:2]
        if len(stamps) < 2:
            raise CameraError(problem)
        span = max(stamps) - min(stamps)
        return Look((width, height), (len(stamps) - 1) / span if span > 0 else 0.0, source.note)


def describe(nodes: list[VideoNode]) -> Iterator[str]:
    """One line for each device."""
    for node in nodes:
        stable = f"  {node.stable}" if node.stable else "  (no stable name)"
        part = f", part {node.index}" if node.index else ""
        yield f"{node.device}{stable}  {node.model}{part}"


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
